// Package appliance is what a flashed image needs beside a gateway: the
// settings that its owner writes on the boot partition, which of two slots the
// firmware starts and whether it stays, and a data partition that fills the
// card and can be made anew.
//
//   - settings: gatewayd.conf, of which every good line counts
//   - imager: the same from what Raspberry Pi Imager writes
//   - zone: time zones by their names
//   - time: the clock, by time servers and from the last run
//   - autoboot: autoboot.txt, as the Raspberry Pi's boot loader reads it
//     (Raspberry Pi documentation, "The autoboot.txt file")
//   - card, firmware: its partitions, and how the other slot is started once
//   - trial, attempt: a slot that was tried is kept if it is well, and else
//     the other one comes back and says so
//   - grow: the last partition of an MBR, and the ext4 in it, while mounted
//   - reset: everything but the slots, wiped and as it was flashed
package appliance
