// Package appliance is what a flashed image needs beside a gateway: the
// settings that its owner writes on the boot partition, which of two slots the
// firmware starts, and a data partition that fills the card.
//
//   - settings: gatewayd.conf, of which every good line counts
//   - autoboot: autoboot.txt, as the Raspberry Pi's boot loader reads it
//     (Raspberry Pi documentation, "The autoboot.txt file")
//   - grow: the last partition of an MBR, and the ext4 in it, while mounted
package appliance
