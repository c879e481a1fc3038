// Package durable writes files that are there, whole and old or whole and new,
// when the power goes at any moment, and are new when the write has returned.
package durable

import (
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// WriteFile replaces a file. Its mode is perm, whatever the umask.
func WriteFile(name string, data []byte, perm os.FileMode) error {
	if err := renameio.WriteFile(name, data, perm, renameio.WithStaticPermissions(perm)); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(name))
}

// SyncDir puts a folder's entries on the disk: those of a file that was renamed
// into it are not otherwise.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
