package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/signal"
	"sync"
	"syscall"

	"discordcloud/pkg/sandbox"
)

// roles are what this program is when it is started by itself.
var roles = map[string]func(args []string, stdout, stderr io.Writer) int{
	"as-sandbox": beSandbox,
	"as-proxy":   beProxy,
}

// about is the first line that a child prints.
type about struct {
	URL      string   `json:"url"`
	Token    string   `json:"token,omitempty"`
	Channels []string `json:"channels,omitempty"`
}

func be(stdout, stderr io.Writer, start func() (about, func() error, error)) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	a, end, err := start()
	if err == nil {
		if err = json.NewEncoder(stdout).Encode(a); err == nil {
			<-ctx.Done()
		}
		err = errors.Join(err, end())
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

// beSandbox is Discord: without limits, and without waiting for the disk, whose
// speed is not what is measured.
func beSandbox(args []string, stdout, stderr io.Writer) int {
	return be(stdout, stderr, func() (about, func() error, error) {
		s, err := sandbox.Open(sandbox.Config{Dir: args[0], NoSync: true})
		if err != nil {
			return about{}, nil, err
		}
		if _, err := s.Start("127.0.0.1:0"); err != nil {
			return about{}, nil, errors.Join(err, s.Close())
		}
		return about{URL: s.URL(), Token: s.Token(), Channels: s.Channels()}, s.Close, nil
	})
}

// beProxy is what a program does at the least that stands where the product
// stands: it copies.
func beProxy(_ []string, stdout, stderr io.Writer) int {
	return be(stdout, stderr, func() (about, func() error, error) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return about{}, nil, err
		}
		p := &proxy{client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}}
		server := &http.Server{Handler: p}
		served := make(chan error, 1)
		go func() { served <- server.Serve(listener) }()
		return about{URL: "http://" + listener.Addr().String()}, func() error {
			err := server.Close()
			if serr := <-served; !errors.Is(serr, http.ErrServerClosed) {
				err = errors.Join(err, serr)
			}
			return err
		}, nil
	})
}

// proxy is a plain streaming proxy: PUT takes a list of links, GET copies what
// they lead to, one after the other, POST passes a request on to the address in
// its header To.
type proxy struct {
	client *http.Client
	mu     sync.Mutex
	serves listing
}

// listing is what a proxy has to copy.
type listing struct {
	Links  []string
	Length int64 // of all, in bytes
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var err error
	switch r.Method {
	case http.MethodPut:
		var l listing
		if err = json.NewDecoder(r.Body).Decode(&l); err == nil {
			p.mu.Lock()
			p.serves = l
			p.mu.Unlock()
		}
	case http.MethodGet:
		err = p.down(w, r)
	case http.MethodPost:
		err = p.up(w, r)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
}

func (p *proxy) down(w http.ResponseWriter, r *http.Request) error {
	p.mu.Lock()
	l := p.serves
	p.mu.Unlock()
	w.Header().Set("Content-Length", fmt.Sprint(l.Length))
	for _, link := range l.Links {
		q, err := http.NewRequestWithContext(r.Context(), http.MethodGet, link, nil)
		if err != nil {
			return err
		}
		answer, err := p.client.Do(q)
		if err != nil {
			return err
		}
		_, err = io.Copy(w, answer.Body)
		if cerr := answer.Body.Close(); err == nil {
			err = cerr
		}
		if err != nil || answer.StatusCode != http.StatusOK {
			panic(http.ErrAbortHandler) // the length is wrong now
		}
	}
	return nil
}

func (p *proxy) up(w http.ResponseWriter, r *http.Request) error {
	q, err := http.NewRequestWithContext(r.Context(), http.MethodPost, r.Header.Get("To"), r.Body)
	if err != nil {
		return err
	}
	q.ContentLength = r.ContentLength
	q.Header.Set("Content-Type", r.Header.Get("Content-Type"))
	q.Header.Set("Authorization", r.Header.Get("Authorization"))
	answer, err := p.client.Do(q)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	w.WriteHeader(answer.StatusCode)
	_, err = io.Copy(w, answer.Body)
	return err
}
