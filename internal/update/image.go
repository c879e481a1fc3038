package update

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ImageDir is where the appliance's root says what it is.
const ImageDir = "/usr/share/gatewayd/image"

// An Image is what the running system knows about itself: files that were
// written when it was built.
type Image struct {
	Board   string
	Version string
	Keys    []Key
}

// LoadImage reads the files board, version and keys/*.pem in dir.
func LoadImage(dir string) (*Image, error) {
	i := &Image{}
	for name, to := range map[string]*string{"board": &i.Board, "version": &i.Version} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, fmt.Errorf("update: this is not the appliance, which alone has slots: %w", err)
		}
		*to = strings.TrimSpace(string(b))
	}
	var err error
	i.Keys, err = LoadKeys(filepath.Join(dir, "keys"))
	return i, err
}

// Check tells why a bundle is not for this system, or nothing. If any is set,
// it may be older, or the version that runs.
func (i *Image) Check(m *Manifest, anyVersion bool) error {
	if m.Board != i.Board {
		return fmt.Errorf("update: it is for the board %q, and this is %q", m.Board, i.Board)
	}
	age, err := CompareVersions(m.Version, i.Version)
	switch {
	case anyVersion && err != nil, anyVersion && age <= 0:
		return nil
	case err != nil:
		return err
	case age == 0:
		return fmt.Errorf("update: %s runs already", m.Version)
	case age < 0:
		return fmt.Errorf("update: %s is older than %s, which runs", m.Version, i.Version)
	}
	if m.Minimum == "" {
		return nil
	}
	switch age, err := CompareVersions(i.Version, m.Minimum); {
	case err != nil:
		return err
	case age < 0:
		return fmt.Errorf("update: %s wants to follow %s or later, and %s runs: install one between them first", m.Version, m.Minimum, i.Version)
	}
	return nil
}
