// Package meshcop is the wire format of Thread's Mesh Commissioning Protocol,
// Chapter 8 of the Thread 1.4 Specification.
//
//   - TLVs: the type-length-value sequences all of MeshCoP is made of (Section
//     8.10.1), walked without copying, unknown types kept
//   - Dataset: the Active and Pending Operational Datasets (Sections 8.4.3 and
//     8.10.1), with Timestamp, Channel, ChannelMask and SecurityPolicy
//   - PSKc, PSKd, JoinerID, Discerner and SteeringData: what a commissioner
//     and a joiner derive from pass phrases and identities (Sections 8.4.1,
//     8.4.4)
//   - the message bodies of joining, relaying, petitioning, managing and
//     discovering a network, each as one struct with a decoder and an Append
//
// Decoders alias their input, read only the first of repeated TLVs in a
// message, accept values longer than their type asks for, and keep the types
// they do not know. A Dataset is stricter: a repeated TLV makes it invalid.
// Everything is big-endian.
package meshcop
