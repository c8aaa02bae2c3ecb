package event_test

import (
	"slices"
	"sync"
	"testing"

	"discordcloud/manager/internal/event"
)

func TestBus_tellsEverySubscriberInOrder(t *testing.T) {
	var bus event.Bus
	var a, b []any
	bus.Publish("nobody hears this")
	cancel := bus.Subscribe(func(v any) { a = append(a, v) })
	bus.Subscribe(func(v any) { b = append(b, v) })
	bus.Publish(1)
	bus.Publish(2)
	cancel()
	cancel() // a second time does no harm
	bus.Publish(3)
	if !slices.Equal(a, []any{1, 2}) || !slices.Equal(b, []any{1, 2, 3}) {
		t.Errorf("heard %v and %v", a, b)
	}
}

func TestBus_concurrent(t *testing.T) {
	var bus event.Bus
	var mu sync.Mutex
	heard := 0
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			cancel := bus.Subscribe(func(any) { mu.Lock(); heard++; mu.Unlock() })
			defer cancel()
			for i := range 100 {
				bus.Publish(i)
			}
		})
	}
	work.Wait()
	if heard < 800 { // each at least hears itself
		t.Errorf("heard %d, want at least 800", heard)
	}
}
