package otcli

import (
	"cmp"

	"gatewayd/thread/joining"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/tmf"
)

// datasetCommand works on a dataset in a buffer of the command line, one
// element at a time, and on the node's active and pending one as a whole.
func datasetCommand(c *CLI, args []string) error {
	switch word(args, 0) {
	case "":
		c.showDataset(&c.dataset)
		return nil
	case "help":
		c.list(datasetCommands())
		return nil
	}
	if f := findField(args[0]); f != nil {
		if len(args) == 1 {
			if c.dataset.Has(f.kind) {
				c.line("%s", f.show(&c.dataset))
			}
			return nil
		}
		// A PSKc is derived for the node's network, not for that in the buffer.
		var d meshcop.Dataset
		if err := f.set(c, &d, &wordList{args[1:]}); err != nil {
			return err
		}
		c.dataset.Merge(&d)
		return nil
	}
	return dispatch(c, datasetCommands(), args)
}

func datasetCommands() []command {
	return []command{
		{"active", datasetActive},
		{"clear", datasetClear},
		{"commit", datasetCommit},
		{"init", datasetInit},
		{"mgmtgetcommand", datasetGet},
		{"mgmtsetcommand", datasetSend},
		{"pending", datasetPending},
		{"set", datasetSet},
		{"tlvs", datasetTLVs},
		{"updater", datasetUpdater},
	}
}

func (c *CLI) showDataset(d *meshcop.Dataset) {
	for _, f := range fields() {
		if f.title != "" && d.Has(f.kind) {
			c.line("%s: %s", f.title, f.show(d))
		}
	}
}

// showStored shows the active or the pending dataset.
func (c *CLI) showStored(d *meshcop.Dataset, args []string) error {
	if d == nil {
		return NotFound
	}
	switch word(args, 0) {
	case "":
		c.showDataset(d)
	case "-x":
		c.line("%x", d.Append(nil))
	default:
		return InvalidArgs
	}
	return nil
}

func datasetActive(c *CLI, args []string) error {
	own, _ := c.node.Datasets().Own()
	return c.showStored(cmp.Or(own, c.node.Datasets().Active()), args)
}

func datasetPending(c *CLI, args []string) error {
	_, own := c.node.Datasets().Own()
	return c.showStored(cmp.Or(own, c.node.Datasets().Pending()), args)
}

func datasetClear(c *CLI, _ []string) error {
	c.dataset = meshcop.Dataset{}
	return nil
}

func datasetInit(c *CLI, args []string) error {
	copyOf := func(d *meshcop.Dataset) error {
		if d == nil {
			return NotFound
		}
		c.dataset = d.Clone()
		return nil
	}
	switch word(args, 0) {
	case "active":
		return copyOf(c.node.Datasets().Active())
	case "pending":
		return copyOf(c.node.Datasets().Pending())
	case "new":
		mask := meshcop.MaskOf(c.channels())
		d, err := meshcop.NewRandom(c.cfg.Rand, mask, mask)
		if err != nil {
			return err
		}
		c.dataset = d
		return nil
	case "tlvs":
		d, err := parseDataset(word(args, 1))
		if err != nil {
			return err
		}
		c.dataset = *d
		return nil
	}
	return InvalidArgs
}

func parseDataset(s string) (*meshcop.Dataset, error) {
	b, err := parseHex(s, meshcop.MaxDatasetLen)
	if err != nil {
		return nil, err
	}
	d, err := meshcop.DecodeDataset(b)
	if err != nil {
		return nil, InvalidArgs
	}
	return &d, nil
}

func datasetCommit(c *CLI, args []string) error {
	// Encoded and decoded again, it has been checked.
	d, err := meshcop.DecodeDataset(c.dataset.Append(nil))
	if err != nil {
		return InvalidArgs
	}
	return c.store(word(args, 0), &d)
}

func datasetSet(c *CLI, args []string) error {
	d, err := parseDataset(word(args, 1))
	if err != nil {
		return err
	}
	return c.store(word(args, 0), d)
}

func (c *CLI) store(which string, d *meshcop.Dataset) error {
	switch which {
	case "active":
		c.node.SetActiveDataset(d)
	case "pending":
		c.node.Datasets().SetPending(d)
	default:
		return InvalidArgs
	}
	return nil
}

func datasetTLVs(c *CLI, args []string) error {
	if len(args) > 0 {
		return InvalidArgs
	}
	c.line("%x", c.dataset.Append(nil))
	return nil
}

// datasetGet sends MGMT_ACTIVE_GET or MGMT_PENDING_GET; the answer is not
// waited for.
func datasetGet(c *CLI, args []string) error {
	uri, err := datasetURI(word(args, 0), tmf.ActiveGet, tmf.PendingGet)
	if err != nil {
		return err
	}
	to := c.leader()
	var types []meshcop.Type
	for rest := (wordList{args[1:]}); !rest.empty(); {
		w := rest.next()
		f := findField(w)
		switch {
		case f != nil:
			types = append(types, f.kind)
		case w == "-x":
			b, err := parseHex(rest.next(), meshcop.MaxDatasetLen)
			if err != nil {
				return err
			}
			for _, t := range b {
				types = append(types, meshcop.Type(t))
			}
		case w == "address":
			if to, err = parseAddr(rest.next()); err != nil {
				return err
			}
		default:
			return InvalidArgs
		}
	}
	return c.manage(uri, to, meshcop.AppendGet(nil, types...))
}

// datasetSend sends MGMT_ACTIVE_SET or MGMT_PENDING_SET to the leader.
func datasetSend(c *CLI, args []string) error {
	uri, err := datasetURI(word(args, 0), tmf.ActiveSet, tmf.PendingSet)
	if err != nil {
		return err
	}
	var m meshcop.DatasetSet
	var more []byte
	for rest := (wordList{args[1:]}); !rest.empty(); {
		w := rest.next()
		f := findField(w)
		switch {
		case f != nil:
			err = f.set(c, &m.Dataset, &rest)
		case w == "-x":
			more, err = parseHex(rest.next(), meshcop.MaxDatasetLen)
		default:
			err = InvalidArgs
		}
		if err != nil {
			return err
		}
	}
	if cm := c.node.Commissioner(); cm.State() == joining.Active {
		m.SessionID = new(cm.SessionID())
	}
	return c.manage(uri, c.leader(), append(m.Append(nil), more...))
}

func datasetURI(which, active, pending string) (string, error) {
	switch which {
	case "active":
		return active, nil
	case "pending":
		return pending, nil
	}
	return "", InvalidArgs
}
