package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"gatewayd/internal/appliance"
	"gatewayd/internal/update"
)

func (a *app) updateCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "update",
		Short: "Put updates on the appliance, take them back, and make them",
		Long: `The appliance has two slots: one runs, and an update goes into the other. It is
started once, and kept if it is as well as what ran before; else the gateway
comes back on what it had.`,
	}
	c.AddCommand(a.updateStatus(), a.updateCheck(), a.updateApply(), a.updateRollback(),
		a.updateBundle(), a.updateSign(), a.updateKey(), a.updatePublic())
	return group(c)
}

// A slots is the appliance with the slot that runs and the other one.
type slots struct {
	image    *update.Image
	card     *appliance.Card
	autoboot appliance.Autoboot
	running  int // partition
}

func findSlots() (*slots, error) {
	s := &slots{}
	var err error
	if s.image, err = update.LoadImage(update.ImageDir); err != nil {
		return nil, err
	}
	if s.card, err = appliance.FindCard(appliance.BootDir); err != nil {
		return nil, err
	}
	if s.autoboot, err = s.card.Autoboot(); err != nil {
		return nil, err
	}
	s.running, err = appliance.Booted()
	return s, err
}

// other opens the slot that does not run.
func (s *slots) other() (n int, slot *update.Slot, closer io.Closer, err error) {
	n = s.autoboot.Try
	if n == s.running {
		n = s.autoboot.Boot
	}
	device, err := s.card.Partition(n)
	if err != nil {
		return n, nil, nil, err
	}
	slot, closer, err = appliance.OpenSlot(device)
	return n, slot, closer, err
}

// settled fails while the version that runs has not been kept: the other slot
// has what comes back otherwise.
func (s *slots) settled() error {
	if s.running != s.autoboot.Boot {
		return fmt.Errorf("%s is on trial: wait until it is kept, which `gatewayd update status` tells", s.image.Version)
	}
	return nil
}

// restart starts version to from the other slot. It does not return if all is
// well.
func (s *slots) restart(ctx context.Context, a *app, c *cobra.Command, to string) error {
	at := appliance.Attempt{From: s.image.Version, To: to, Slot: s.autoboot.Try, Began: time.Now(), Before: a.health(ctx, c), Outcome: appliance.Waiting}
	if err := at.Save(appliance.AttemptFile); err != nil {
		return err
	}
	if err := s.card.TryNext(); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "restarting into %s\n", to)
	return appliance.Restart()
}

// slotStatus is a slot for programs.
type slotStatus struct {
	Partition int    `json:"partition"`
	Version   string `json:"version,omitempty"`
	SignedBy  string `json:"signed_by,omitempty"` // name of the key
	Problem   string `json:"problem,omitempty"`
}

func (a *app) updateStatus() *cobra.Command {
	c := &cobra.Command{
		Use:   "status",
		Short: "Show both slots and what became of the last update",
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			s, err := findSlots()
			if err != nil {
				return err
			}
			var st struct {
				Board   string             `json:"board"`
				Running slotStatus         `json:"running"`
				OnTrial bool               `json:"on_trial"`
				Other   slotStatus         `json:"other"`
				Last    *appliance.Attempt `json:"last,omitempty"`
				Keys    []string           `json:"keys"` // that are trusted
			}
			st.Board, st.OnTrial = s.image.Board, s.settled() != nil
			st.Running = slotStatus{Partition: s.running, Version: s.image.Version}
			for _, k := range s.image.Keys {
				st.Keys = append(st.Keys, k.Name)
			}
			n, slot, closer, err := s.other()
			st.Other.Partition = n
			if err == nil {
				defer closer.Close()
				var m *update.Manifest
				var k update.Key
				if m, k, err = slot.Installed(s.image.Keys); err == nil {
					st.Other.Version, st.Other.SignedBy = m.Version, k.Name
				}
			}
			if err != nil {
				st.Other.Problem = plain(err.Error())
			}
			if st.Last, err = appliance.LoadAttempt(appliance.AttemptFile); err != nil {
				return err
			}
			if a.json {
				return printJSON(a.out, st)
			}
			trial := ""
			if st.OnTrial {
				trial = ", on trial"
			}
			var p pairs
			p.add("runs", fmt.Sprintf("%s, from partition %d%s", st.Running.Version, st.Running.Partition, trial))
			other := st.Other.Problem
			if other == "" {
				other = fmt.Sprintf("%s, signed with the key %q", st.Other.Version, st.Other.SignedBy)
			}
			p.add("other slot", fmt.Sprintf("partition %d: %s", n, other))
			p.add("board", st.Board)
			p.addList("trusted keys", st.Keys)
			if st.Last != nil {
				p.add("last update", st.Last.String())
			}
			p.print(a.out)
			return nil
		},
	}
	return a.printsJSON(c)
}

// offer is a bundle for programs.
type offer struct {
	Source   string `json:"source"`
	Running  string `json:"running"`
	Version  string `json:"version"`
	Board    string `json:"board"`
	SignedBy string `json:"signed_by"`
	Bytes    int64  `json:"bytes"`
	Refused  string `json:"refused,omitempty"` // why it would not be put on
}

func (a *app) updateCheck() *cobra.Command {
	c := &cobra.Command{
		Use:   "check URL|FILE",
		Short: "Look at an update, and say whether it would be put on",
		Long:  "Look at an update, and say whether it would be put on. It fails if it would not.",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			image, err := update.LoadImage(update.ImageDir)
			if err != nil {
				return err
			}
			b, err := update.Locate(args[0])
			if err != nil {
				return usageError{err}
			}
			defer b.Close()
			_, m, k, err := b.Header(c.Context(), image.Keys)
			if err != nil {
				return err
			}
			o := offer{args[0], image.Version, m.Version, m.Board, k.Name, m.Size(), ""}
			if err := image.Check(m, false); err != nil {
				o.Refused = plain(err.Error())
			}
			return a.tell(&o)
		},
	}
	return a.printsJSON(c)
}

// tell prints an offer, and fails if it is refused.
func (a *app) tell(o *offer) error {
	var refused error
	if o.Refused != "" {
		refused = &failure{} // it says why itself
	}
	if a.json {
		return errors.Join(printJSON(a.out, o), refused)
	}
	var p pairs
	p.add("runs", o.Running)
	p.add("offered", fmt.Sprintf("%s, %d MiB, signed with the key %q", o.Version, o.Bytes>>20, o.SignedBy))
	verdict := "can be put on: gatewayd update apply " + o.Source
	if o.Refused != "" {
		verdict = "refused: " + o.Refused
	}
	p.add("verdict", verdict)
	p.print(a.out)
	return refused
}

func (a *app) updateApply() *cobra.Command {
	var anyVersion bool
	c := &cobra.Command{
		Use:   "apply URL|FILE",
		Short: "Put an update on, and restart into it",
		Long: `Put an update into the slot that does not run, and restart into it. Nothing
changes unless its signature, its board and its version are right. What is
fetched is checked before it is written, and read back after; a transfer or a
power supply that breaks off costs nothing but the time, for the next one goes on
where it was.`,
		Example: `  gatewayd update apply http://192.168.1.2:8000/raspberrypi.update`,
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			ctx := c.Context()
			s, err := findSlots()
			if err != nil {
				return err
			}
			if err := s.settled(); err != nil {
				return err
			}
			b, err := update.Locate(args[0])
			if err != nil {
				return usageError{err}
			}
			defer b.Close()
			header, m, _, err := b.Header(ctx, s.image.Keys)
			if err != nil {
				return err
			}
			if err := s.image.Check(m, anyVersion); err != nil {
				return err
			}
			_, slot, closer, err := s.other()
			if err != nil {
				return err
			}
			defer closer.Close()
			if err := slot.Write(ctx, header, m, b, a.progress(m.Size())); err != nil {
				return err
			}
			return s.restart(ctx, a, c, m.Version)
		},
	}
	c.Flags().BoolVar(&anyVersion, "any-version", false, "take an older version, or the one that runs, too")
	return c
}

// progress tells each tenth.
func (a *app) progress(total int64) func(int64) {
	said := int64(-1)
	return func(done int64) {
		if tenth := done * 10 / total; tenth != said {
			fmt.Fprintf(a.err, "%d %% of %d MiB\n", tenth*10, total>>20)
			said = tenth
		}
	}
}

func (a *app) updateRollback() *cobra.Command {
	return &cobra.Command{
		Use:   "rollback",
		Short: "Restart into what the other slot holds, the version before",
		Long: `Restart into what the other slot holds, the version before an update. It is on
trial as an update is: if it is not well, the version that runs now comes back.`,
		Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := findSlots()
			if err != nil {
				return err
			}
			if err := s.settled(); err != nil {
				return err
			}
			_, slot, closer, err := s.other()
			if err != nil {
				return err
			}
			defer closer.Close()
			m, _, err := slot.Installed(s.image.Keys)
			if err != nil {
				return err
			}
			if m.Board != s.image.Board {
				return fmt.Errorf("the other slot is for the board %q", m.Board)
			}
			if err := slot.Verify(c.Context(), m); err != nil {
				return err
			}
			return s.restart(c.Context(), a, c, m.Version)
		},
	}
}

// health is what is well on the appliance.
func (a *app) health(ctx context.Context, c *cobra.Command) appliance.Health {
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var h appliance.Health
	if cl, err := a.client(c); err == nil {
		if st, err := cl.Status(ctx); err == nil {
			h.Gateway = true
			h.Dongle = st.Radio.State == "ready" && st.Radio.Problem == ""
			h.Network = st.Lowpan != nil || slices.Contains([]string{"child", "router", "leader"}, st.Role)
		}
	}
	if r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1/", nil); err == nil {
		if answer, err := http.DefaultClient.Do(r); err == nil {
			answer.Body.Close()
			h.Page = answer.StatusCode == http.StatusOK
		}
	}
	for _, l := range links() {
		for _, addr := range l.Addresses {
			h.Uplink = h.Uplink || l.Up && addr.IsGlobalUnicast()
		}
	}
	return h
}

func (a *app) factoryReset() *cobra.Command {
	var yes, settingsStay bool
	c := &cobra.Command{
		Use:   "factory-reset",
		Short: "Make the appliance forget everything but its software",
		Long: `Make the appliance forget its networks, its keys and its devices, and the
settings on its boot partition: it restarts, and is as it was flashed but for
updates. An
empty file named factory-reset on the boot partition does the same at the next
start.`,
		Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if !yes {
				return usageError{errors.New("everything that this gateway knows would be gone, the keys of its network, too: say --yes if that is meant")}
			}
			card, err := appliance.FindCard(appliance.BootDir)
			if err != nil {
				return err
			}
			if err := card.RequestReset(settingsStay); err != nil {
				return err
			}
			fmt.Fprintln(a.out, "restarting")
			return appliance.Restart()
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do it")
	c.Flags().BoolVar(&settingsStay, "keep-settings", false, "leave the settings on the boot partition alone")
	return c
}
