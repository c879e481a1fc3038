// Command sbom says what a program is made of: its modules and their versions,
// as it records them, in SPDX 2.3.
package main

import (
	"debug/buildinfo"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path"
	"time"
)

// document is an SPDX 2.3 document, as far as it is used.
type document struct {
	Version       string         `json:"spdxVersion"`
	DataLicense   string         `json:"dataLicense"`
	ID            string         `json:"SPDXID"`
	Name          string         `json:"name"`
	Namespace     string         `json:"documentNamespace"`
	Creation      creation       `json:"creationInfo"`
	Packages      []module       `json:"packages"`
	Relationships []relationship `json:"relationships"`
}

type creation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type module struct {
	ID       string `json:"SPDXID"`
	Name     string `json:"name"`
	Version  string `json:"versionInfo"`
	Location string `json:"downloadLocation"`
	License  string `json:"licenseConcluded"`
	Refs     []ref  `json:"externalRefs,omitempty"`
}

type ref struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type relationship struct {
	From string `json:"spdxElementId"`
	Type string `json:"relationshipType"`
	To   string `json:"relatedSpdxElement"`
}

func main() {
	version := flag.String("version", "", "of the program")
	epoch := flag.Int64("time", 0, "of the document, seconds since 1970")
	flag.Parse()
	if err := write(flag.Arg(0), *version, time.Unix(*epoch, 0).UTC()); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func write(file, version string, at time.Time) error {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return err
	}
	const program = "SPDXRef-gatewayd"
	d := document{Version: "SPDX-2.3", DataLicense: "CC0-1.0", ID: "SPDXRef-DOCUMENT", Name: "gatewayd-" + version,
		Namespace:     "urn:gatewayd:" + version,
		Creation:      creation{at.Format(time.RFC3339), []string{"Tool: gatewayd-sbom"}},
		Packages:      []module{{ID: program, Name: "gatewayd", Version: version, Location: "NOASSERTION", License: "Apache-2.0"}},
		Relationships: []relationship{{"SPDXRef-DOCUMENT", "DESCRIBES", program}},
	}
	add := func(name, version string) {
		id := fmt.Sprintf("SPDXRef-%d-%s", len(d.Packages), path.Base(name))
		d.Packages = append(d.Packages, module{ID: id, Name: name, Version: version, Location: "NOASSERTION", License: "NOASSERTION",
			Refs: []ref{{"PACKAGE-MANAGER", "purl", "pkg:golang/" + name + "@" + version}}})
		d.Relationships = append(d.Relationships, relationship{program, "CONTAINS", id})
	}
	add("std", info.GoVersion)
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		add(m.Path, m.Version)
	}
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", "  ")
	return e.Encode(d)
}
