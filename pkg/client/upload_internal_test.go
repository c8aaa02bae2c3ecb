package client

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"discordcloud/pkg/packet"
)

func TestMissing(t *testing.T) {
	for _, test := range []struct {
		n         int64
		confirmed []packet.Range
		want      []int64
	}{
		{0, nil, nil},
		{3, nil, []int64{0, 1, 2}},
		{5, []packet.Range{{0, 1}, {3, 3}}, []int64{2, 4}},
		{2, []packet.Range{{0, 1}}, nil},
		{2, []packet.Range{{-5, 0}, {7, 1 << 60}}, []int64{1}}, // of a server that is wrong
	} {
		if got := missing(test.n, test.confirmed); !slices.Equal(got, test.want) {
			t.Errorf("of %d without %v: %v, want %v", test.n, test.confirmed, got, test.want)
		}
	}
}

// Places are taken as far as there are some, and given on; a socket that ends, or
// a context, ends the waiting.
func TestPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p places
		ended := make(chan struct{})
		took := make(chan bool, 4)
		take := func(ctx context.Context) {
			ok, err := p.take(ctx, ended)
			took <- ok && err == nil
		}
		leaving, leave := context.WithCancel(t.Context())
		go take(t.Context())
		go take(t.Context())
		synctest.Wait()
		if len(took) != 0 {
			t.Fatal("there was no place")
		}
		p.change(+1)
		synctest.Wait()
		if len(took) != 1 || !<-took {
			t.Fatal("one place, and not one that took it")
		}
		p.change(-1) // lost while it is taken
		p.give()
		synctest.Wait()
		if len(took) != 0 {
			t.Fatal("a place that is lost was given on")
		}
		p.set(1)
		synctest.Wait()
		if len(took) != 1 || !<-took {
			t.Fatal("nobody took the new place")
		}
		go take(leaving)
		go take(t.Context())
		synctest.Wait()
		leave()
		synctest.Wait()
		if len(took) != 1 || <-took {
			t.Fatal("who left is not told so")
		}
		close(ended)
		synctest.Wait()
		if len(took) != 1 || <-took {
			t.Fatal("who waited was not told of the end")
		}
	})
}
