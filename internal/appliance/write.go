package appliance

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
)

// Write puts every setting that is given into a file of its own below dir, for
// the scripts that bring the system up, and what was wrong into "problems",
// one a line. Values have been checked: no script has to.
func (s *Settings) Write(dir string, errs []error) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("appliance: %w", err)
	}
	for name, value := range s.files(errs) {
		file := filepath.Join(dir, name)
		if value == "" {
			if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("appliance: %w", err)
			}
			continue
		}
		mode := os.FileMode(0o644)
		if name == "dataset" || name == "password" {
			mode = 0o600 // a network's key, a password's hash
		}
		if err := renameio.WriteFile(file, []byte(value), mode); err != nil {
			return fmt.Errorf("appliance: %w", err)
		}
	}
	return nil
}

// files are the contents of all files; those that are empty are not to be.
func (s *Settings) files(errs []error) map[string]string {
	files := map[string]string{"hostname": s.Hostname, "timezone": s.TimeZone, "user": s.User, "password": s.Password,
		"radio": s.Radio, "dataset": hex.EncodeToString(s.Dataset), "authorized_keys": strings.Join(s.SSHKeys, "\n"),
		"ntp": strings.Join(s.NTP, "\n"), "address": "", "gateway": ""}
	if s.Address.IsValid() {
		files["address"] = s.Address.String()
	}
	if s.Gateway.IsValid() {
		files["gateway"] = s.Gateway.String()
	}
	var dns, problems []string
	for _, a := range s.DNS {
		dns = append(dns, a.String())
	}
	for _, err := range errs {
		problems = append(problems, strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\n", "; "), "appliance: "))
	}
	files["dns"], files["problems"] = strings.Join(dns, "\n"), strings.Join(problems, "\n")
	for name, value := range files {
		if value != "" {
			files[name] = value + "\n"
		}
	}
	files["localtime"] = ""
	if s.TimeZone != "" {
		rule, err := ZoneRule(s.TimeZone)
		if err == nil { // it has been looked up before
			files["localtime"] = string(AppendLocaltime(nil, rule))
		}
	}
	return files
}
