// Package linkmetrics implements the values of Thread's link metrics (Thread 1.4
// Section 4.11.3): how well the frames of a neighbour arrive.
//
//   - the sub-TLVs in MLE's Link Metrics Query, Management and Report TLVs
//   - the metrics in Thread's vendor element of enhanced acknowledgements
//   - series: the averages over the frames of a neighbour that it asked for
//
// Who may ask for what, and the messages, are package mle's.
package linkmetrics
