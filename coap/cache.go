package coap

import (
	"container/list"
	"time"
)

// cache remembers values for a time and is bounded twice, in the number of
// entries and in the sum of their sizes: the oldest entry leaves first.
type cache[K comparable, V any] struct {
	entries    map[K]*cacheEntry[K, V]
	order      *list.List // of *cacheEntry, oldest first
	size       int
	maxEntries int
	maxSize    int
}

type cacheEntry[K comparable, V any] struct {
	key     K
	value   V
	size    int
	expires time.Time
	elem    *list.Element // nil: has left the cache
}

func newCache[K comparable, V any](maxEntries, maxSize int) cache[K, V] {
	return cache[K, V]{
		entries:    make(map[K]*cacheEntry[K, V]),
		order:      list.New(),
		maxEntries: maxEntries,
		maxSize:    maxSize,
	}
}

// get returns the live entry of a key, or nil.
func (c *cache[K, V]) get(key K, now time.Time) *cacheEntry[K, V] {
	en := c.entries[key]
	if en != nil && !now.Before(en.expires) {
		c.remove(en)
		return nil
	}
	return en
}

// put adds an entry, in place of an older one of the same key.
func (c *cache[K, V]) put(key K, value V, size int, now time.Time, lifetime time.Duration) *cacheEntry[K, V] {
	c.remove(c.entries[key])
	for el := c.order.Front(); el != nil; el = c.order.Front() {
		en := el.Value.(*cacheEntry[K, V])
		if now.Before(en.expires) && len(c.entries) < c.maxEntries {
			break
		}
		c.remove(en)
	}
	en := &cacheEntry[K, V]{key: key, expires: now.Add(lifetime)}
	en.elem = c.order.PushBack(en)
	c.entries[key] = en
	c.set(en, value, size)
	return en
}

// set changes the value of an entry, which may have left the cache.
func (c *cache[K, V]) set(en *cacheEntry[K, V], value V, size int) {
	if en.elem == nil {
		return
	}
	c.size += size - en.size
	en.value, en.size = value, size
	for c.size > c.maxSize {
		c.remove(c.order.Front().Value.(*cacheEntry[K, V]))
	}
}

// remove takes an entry out, which may be nil or have left already.
func (c *cache[K, V]) remove(en *cacheEntry[K, V]) {
	if en == nil || en.elem == nil {
		return
	}
	c.order.Remove(en.elem)
	en.elem = nil
	c.size -= en.size
	delete(c.entries, en.key)
}
