package coap

import (
	"container/list"
	"time"
)

// cacheKey identifies a message (RFC 7252 Section 4.5).
type cacheKey[P comparable] struct {
	peer P
	mid  uint16
}

// A cacheEntry remembers a message that was received, and how.
type cacheEntry[P comparable] struct {
	key     cacheKey[P]
	expires time.Time
	reply   []byte // what a duplicate is answered with; nil: nothing
	elem    *list.Element
}

// cache remembers received messages, so that a duplicate is recognized and
// answered like the original. It is bounded: the oldest entry leaves first.
type cache[P comparable] struct {
	entries    map[cacheKey[P]]*cacheEntry[P]
	order      *list.List // of *cacheEntry[P], oldest first
	bytes      int        // sum of the replies
	maxEntries int
	maxBytes   int
}

func newCache[P comparable](maxEntries, maxBytes int) cache[P] {
	return cache[P]{
		entries:    make(map[cacheKey[P]]*cacheEntry[P]),
		order:      list.New(),
		maxEntries: maxEntries,
		maxBytes:   maxBytes,
	}
}

// get returns the live entry of a message, or nil.
func (c *cache[P]) get(key cacheKey[P], now time.Time) *cacheEntry[P] {
	en := c.entries[key]
	if en != nil && !now.Before(en.expires) {
		c.remove(en)
		return nil
	}
	return en
}

// add remembers a message; there must be no live entry of it.
func (c *cache[P]) add(key cacheKey[P], now time.Time, lifetime time.Duration) *cacheEntry[P] {
	for el := c.order.Front(); el != nil; el = c.order.Front() {
		en := el.Value.(*cacheEntry[P])
		if now.Before(en.expires) && len(c.entries) < c.maxEntries {
			break
		}
		c.remove(en)
	}
	en := &cacheEntry[P]{key: key, expires: now.Add(lifetime)}
	en.elem = c.order.PushBack(en)
	c.entries[key] = en
	return en
}

// setReply sets what duplicates are answered with. The entry may have left the
// cache meanwhile.
func (c *cache[P]) setReply(en *cacheEntry[P], reply []byte) {
	if en.elem == nil {
		return
	}
	c.bytes += len(reply) - len(en.reply)
	en.reply = reply
	for c.bytes > c.maxBytes {
		c.remove(c.order.Front().Value.(*cacheEntry[P]))
	}
}

func (c *cache[P]) remove(en *cacheEntry[P]) {
	c.order.Remove(en.elem)
	en.elem = nil
	c.bytes -= len(en.reply)
	delete(c.entries, en.key)
}
