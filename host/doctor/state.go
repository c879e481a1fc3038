package doctor

import (
	"errors"
	"io/fs"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

var stateChecks = []Check{
	{"HOST-DATA", "the data directory can be written", checkData},
	{"HOST-DATATMP", "it survives a restart", checkDataVolatile},
	{"HOST-DATAFULL", "it has room", checkDataRoom},
	{"HOST-RADIO", "the radio's device is there", checkRadio},
	{"HOST-DNS", "the host has a resolver", checkResolver},
	{"HOST-RASEND", "the gateway advertises itself", checkAdvertised},
}

func checkData(e *exam) {
	if e.DataDir == "" {
		return
	}
	// The gateway makes the directory if it can.
	dir := e.DataDir
	err := e.sys.writable(dir)
	for errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir {
		dir = filepath.Dir(dir)
		err = e.sys.writable(dir)
	}
	switch {
	case err == nil:
	case errors.Is(err, unix.EROFS):
		e.problem(e.DataDir, "mount -o remount,rw its file system, or choose another data-dir", "%s is on a file system that cannot be written.", e.DataDir)
	case errors.Is(err, fs.ErrPermission):
		e.problem(e.DataDir, "chown it to the gateway's user, or run as root", "%s may not be written.", e.DataDir)
	}
}

func checkDataVolatile(e *exam) {
	if e.DataDir == "" {
		return
	}
	s, err := e.sys.statfs(e.DataDir)
	if err != nil {
		return
	}
	if magic := uint32(s.Type); magic == unix.TMPFS_MAGIC || magic == unix.RAMFS_MAGIC { // signed, of a word's size
		e.problem(e.DataDir, "choose a data-dir on a disk; in a container, a volume: -v gatewayd:"+e.DataDir,
			"%s is in memory: after a restart of the machine the network and its prefixes are others.", e.DataDir)
	}
}

// roomNeeded is what a few generations of all state take, twice.
const roomNeeded = 16 << 20

func checkDataRoom(e *exam) {
	if e.DataDir == "" || e.had("HOST-DATATMP") {
		return
	}
	s, err := e.sys.statfs(e.DataDir)
	if err != nil {
		return
	}
	if room := s.Bavail * uint64(s.Bsize); room < roomNeeded {
		e.problem(e.DataDir, "df -h "+e.DataDir, "The file system of %s has only %d kB left.", e.DataDir, room>>10)
	} else if s.Files > 0 && s.Ffree < 64 {
		e.problem(e.DataDir, "df -i "+e.DataDir, "The file system of %s has only %d files left.", e.DataDir, s.Ffree)
	}
}

func checkRadio(e *exam) {
	u, err := url.Parse(e.Radio)
	if err != nil || !strings.HasSuffix(u.Scheme, "uart") || u.Path == "" {
		return
	}
	switch err := unix.Access(u.Path, unix.R_OK|unix.W_OK); {
	case errors.Is(err, fs.ErrNotExist):
		e.problem(u.Path, "ls -l /dev/serial/by-id shows what is plugged in", "There is no radio at %s.", u.Path)
	case errors.Is(err, fs.ErrPermission):
		e.problem(u.Path, "usermod -aG dialout USER, or run as root; in a container: --device "+u.Path, "The radio at %s may not be opened.", u.Path)
	}
}

func checkResolver(e *exam) {
	b, err := e.sys.readFile("/etc/resolv.conf")
	if err == nil {
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "nameserver" {
				return
			}
		}
	}
	e.warn("/etc/resolv.conf", "echo 'nameserver ADDRESS' >> /etc/resolv.conf, or see resolvectl status",
		"The host has no DNS resolver that names could be looked up with for the mesh.")
}

// maxSilence is three times as long as a gateway with something to say is ever
// silent.
const maxSilence = 10 * time.Minute

func checkAdvertised(e *exam) {
	now, _ := e.sys.clock()
	for _, name := range slices.Sorted(maps.Keys(e.Advertised)) {
		const fix = "gatewayd border and the gateway's log say more"
		switch at := e.Advertised[name]; {
		case at.IsZero():
			e.problem(name, fix, "No router advertisement of the gateway could be sent on %s yet.", name)
		case now.Sub(at) > maxSilence:
			e.problem(name, fix, "The gateway has sent no router advertisement on %s for %s.", name, now.Sub(at).Round(time.Minute))
		}
	}
}
