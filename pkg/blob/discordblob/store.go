// Package discordblob is the blob.Store that keeps blobs as attachments of
// messages in Discord channels.
//
// Blobs that wait for the same channel travel in one message, as messages are
// what is scarce: about one a second and channel. A lone blob does not wait for
// company. Readers share links, which expire, and the calls that refresh them;
// a reader whose connection breaks off goes on from where it was.
//
// Talking to Discord, its limits and its errors are pkg/discord's; sealing, and
// the knowledge of which blob is what, are elsewhere.
package discordblob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"discordcloud/pkg/blob"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/discord"
)

// Options configure a Store.
type Options struct {
	// Client talks to Discord. It stays the caller's, who closes it after the
	// Store. Pool does so with several bot tokens, and is taken if it is given.
	Client *discord.Client
	Pool   *discord.Pool
	// Channels are the ids of the channels that blobs are put into. Blobs are read
	// from and deleted in any channel.
	Channels []string
	Log      *slog.Logger // by default none

	// Links is the number of links that are remembered, by default 20,000; each
	// takes about 0.5 KB.
	Links int
	// Margin is how long before its end a link counts as expired, by default 90 s,
	// and never more than a quarter of what is left when the link comes.
	Margin time.Duration
	// Gather is how long a link's refresh waits for others to go with it, by
	// default 2 ms. While a refresh is under way others gather anyway.
	Gather time.Duration
	// Resumes is how often a reader goes on after its connection broke off, by
	// default 4; it is counted anew when 64 KiB have come.
	Resumes int
	// Lag is how old a message is before it is believed that it does not exist, by
	// default 3 s: it takes Discord a moment to show it everywhere.
	Lag time.Duration
}

// Store is a blob.Store on Discord.
type Store struct {
	client  *discord.Pool
	log     *slog.Logger
	resumes int
	lag     time.Duration
	links   *links
	delete  chan struct{} // held by the one Delete that runs

	mu     sync.Mutex
	queue  []*item // oldest first
	lanes  []*lane
	turn   int // where the search for a lane begins
	closed bool
	sends  map[*send]struct{}
	crowd  bool          // the last message carried several blobs
	news   chan struct{} // closed and renewed when the queue grows, or a message has been answered
	wg     sync.WaitGroup
}

var (
	_ blob.Store      = (*Store)(nil)
	_ blob.Prefetcher = (*Store)(nil)
	_ io.Closer       = (*Store)(nil)
)

// New makes a store; it does not touch the network. ErrInvalid if there is no
// client or no channel.
func New(opt Options) (*Store, error) {
	channels := slices.Clone(opt.Channels)
	slices.Sort(channels)
	channels = slices.Compact(channels)
	if opt.Pool == nil && opt.Client != nil {
		opt.Pool = discord.PoolOf(opt.Client)
	}
	if opt.Pool == nil || len(channels) == 0 || slices.Contains(channels, "") {
		return nil, fmt.Errorf("discord store: %w: a client and at least one channel are needed", cloud.ErrInvalid)
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{
		client:  opt.Pool,
		log:     opt.Log,
		resumes: opt.Resumes,
		lag:     opt.Lag,
		delete:  make(chan struct{}, 1),
		sends:   make(map[*send]struct{}),
		news:    make(chan struct{}),
	}
	if s.lag == 0 {
		s.lag = 3 * time.Second
	}
	if s.resumes == 0 {
		s.resumes = 4
	}
	s.links = newLinks(opt)
	for _, c := range opt.Pool.Clients() {
		for _, id := range channels {
			s.lanes = append(s.lanes, &lane{client: c, channel: id})
		}
	}
	return s, nil
}

// Limit is the size in bytes of the largest blob that is taken now. Discord may
// lower it at any time; blobs that are stored stay readable.
func (s *Store) Limit() int64 { return s.client.Limits().Attachment }

// Close ends what is under way, with cloud.ErrShutdown, and waits for it. Put
// then fails.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	for x := range s.sends {
		x.cancel(cloud.ErrShutdown)
	}
	s.mu.Unlock()
	s.links.close()
	s.wg.Wait()
	return nil
}

// outage is an error of Discord's that is none of the caller's: that the bot
// may not do something, or that it is limited, is to the caller a store that is
// not available. What Discord said stays findable with errors.AsType.
type outage struct{ err error }

func (e *outage) Error() string      { return e.err.Error() }
func (e *outage) As(target any) bool { return errors.As(e.err, target) }

func (e *outage) Is(target error) bool {
	switch target {
	case cloud.ErrUnavailable:
		return true
	case cloud.ErrDenied, cloud.ErrLimited, cloud.ErrNotFound:
		return false
	}
	return errors.Is(e.err, target)
}

// storeError translates the errors of pkg/discord into those of a store.
func storeError(err error) error {
	switch kind := cloud.KindOf(err); {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case kind == cloud.ErrDenied, kind == cloud.ErrLimited, errors.Is(err, discord.ErrChannelDown):
		return &outage{err}
	default:
		return err
	}
}
