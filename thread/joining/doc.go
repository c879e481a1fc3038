// Package joining is how a device that knows nothing but its PSKd gets into a
// Thread network: the four machines that take part in MeshCoP.
//
//   - Petitions: the leader, which admits one commissioner at a time and
//     publishes what it says (Thread 1.4 Sections 8.4.3.1, 8.7.3)
//   - Commissioner: a commissioner that is itself a node of the mesh; it keeps
//     the list of who may join and authenticates them (Section 8.4.4)
//   - JoinerRouter: passes datagrams between joiners, who have no key yet, and
//     the commissioner, and hands the network key over (Sections 8.4.4.4, 8.4.4.6)
//   - Joiner: the device that wants in (Section 8.4.4)
//
// Deviations: the Commissioner serves several joiners at a time, asks each for
// a cookie before it remembers anything, and refuses by leaving out the KEK; a
// JoinerRouter uses a KEK once, whoever repeats it.
package joining
