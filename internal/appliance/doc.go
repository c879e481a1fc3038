// Package appliance is what a flashed image needs beside a gateway: the
// settings that its owner writes on the boot partition, which of two slots the
// firmware starts, and a data partition that fills the card.
//
//   - settings: gatewayd.conf, of which every good line counts
//   - imager: the same from what Raspberry Pi Imager writes
//   - zone: time zones by their names
//   - time: the clock, by time servers and from the last run
//   - autoboot: autoboot.txt, as the Raspberry Pi's boot loader reads it
//     (Raspberry Pi documentation, "The autoboot.txt file")
//   - grow: the last partition of an MBR, and the ext4 in it, while mounted
package appliance
