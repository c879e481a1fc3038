// Package spinel speaks Spinel, the protocol between an OpenThread radio
// co-processor (RCP) and its host, as draft-rquattle-spinel-unified describes
// it and as OpenThread's RCPs extend it (RCP API version 11).
//
//   - wire: Frame, Reader and the Append functions for Spinel's data types,
//     the property structures (TxRequest, TxDone, RxFrame, MACKeys), the names
//     of commands, properties, capabilities and status codes
//   - machine: Link, the host's end, which is a radio.Radio over bytes
//   - Recognise, which tells what else may be answering on a serial port
//
// Integers are little-endian. Extended addresses are sent most significant
// byte first, as ieee802154.ExtAddr holds them.
//
// What the draft leaves open, and how it is settled here:
//
//   - Trailing fields that are unknown are ignored, and trailing fields that
//     an older RCP leaves out have their default.
//   - The table of extended addresses for source matching is always set as a
//     whole. OpenThread's RCPs expect the address that is removed from it in
//     reverse byte order, older and newer ones alike; setting has no such trap.
//   - Only frames for our interface (IID) are looked at.
package spinel
