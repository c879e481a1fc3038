// Package dtls is a DTLS 1.2 endpoint for the one cipher suite Thread's
// commissioning uses, TLS_ECJPAKE_WITH_AES_128_CCM_8 (0xC0FF), as client and as
// server, without sockets and clocks: datagrams and the time go in, datagrams
// and application data come out through callbacks.
//
//   - records, replay window, fragments, flights, timers, cookies: RFC 6347
//   - messages, alerts, the pseudorandom function, Finished: RFC 5246
//   - the suite, its extension and messages: draft-cragie-tls-ecjpake-01; the
//     mathematics is in dtls/ecjpake
//   - AEAD_AES_128_CCM_8 as record protection: RFC 6655
//   - extended master secret: RFC 7627, used when both sides can
//   - max_fragment_length: RFC 6066 Section 4, honoured as server
//   - renegotiation_info: RFC 5746, as proof that there is no renegotiation
//   - the KEK that entrusts a joiner: Thread 1.3 Section 8.4.4
//
// A [Conn] is one session. A [Front] answers the first ClientHello of peers a
// server has no Conn for, so that a forged source address costs no memory.
//
// Deviations, all towards what mbedTLS does and peers built on it expect: a
// change_cipher_spec is sent but not waited for, as the epoch of a record says
// the same; a Finished record that does not authenticate ends the handshake
// instead of being dropped, since that is how a wrong secret shows; and a fatal
// alert in plain text is believed for as long as the handshake lasts.
package dtls
