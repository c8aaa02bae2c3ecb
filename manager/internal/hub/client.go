package hub

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"

	"discordcloud/manager/internal/dispatch"
	"discordcloud/manager/internal/policy"
	"discordcloud/manager/internal/vfs"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// client is one connection of a client.
type client struct {
	hub     *Hub
	conn    *packet.Conn
	who     policy.Principal
	version packet.Version
	peer    netip.Addr
	base    string // scheme and host under which it reaches the manager

	uploads *dispatch.Client
	work    sync.WaitGroup
	room    chan struct{} // for packets that are handled beside each other
	queue   chan struct{} // the same, for those that wait for a slot
}

// How many packets of a client are handled at once. Uploads wait for seconds, so
// that they have room of their own.
const (
	roomForPackets = 32
	roomForUploads = 160
)

// run serves the client to the end of its connection.
func (c *client) run(ctx context.Context) {
	h := c.hub
	c.room = make(chan struct{}, roomForPackets)
	c.queue = make(chan struct{}, roomForUploads)
	c.uploads = h.Dispatch.Connect(ctx, dispatch.ClientOptions{
		Who: c.who, Version: c.version, Send: c.send, Address: c.address, Shown: c.shown,
	})
	h.join(c)
	// From now on the end of the session is heard; it may have come before.
	if err := h.Auth.Alive(ctx, c.who); errors.Is(err, cloud.ErrUnauthenticated) {
		c.signOut("the session has ended")
	}
	err := c.conn.Run(ctx, c.handle)
	c.work.Wait()
	c.uploads.Close(ctx)
	h.Log.DebugContext(ctx, "client disconnected", "user", c.who.User, "err", err)
}

// send queues a packet. It does not block.
func (c *client) send(p packet.Packet) {
	if err := c.conn.Send(p); errors.Is(err, cloud.ErrInvalid) {
		c.hub.Log.Error("packet not sent", "packet", p.PacketID(), "err", err)
	} // otherwise the connection is ending
}

// reply answers a message.
func (c *client) reply(m packet.Message, p packet.Packet) {
	if err := m.Reply(p); errors.Is(err, cloud.ErrInvalid) {
		c.hub.Log.Error("reply not sent", "packet", p.PacketID(), "err", err)
	}
}

// signOut ends the connection since its session has ended.
func (c *client) signOut(reason string) {
	if c.version >= packet.V2 {
		c.send(packet.SignedOut{Reason: reason})
	}
	c.conn.Close(closeNormal, reason)
}

// address makes of a service's address one that the client reaches.
func (c *client) address(a string) string {
	if strings.HasPrefix(a, "/") {
		return c.base + a
	}
	return a
}

// shown is an entry's name as the client bears it.
func (c *client) shown(e cloud.Entry) string {
	if c.version == packet.V1 {
		return vfs.StandIn(e)
	}
	return e.Name
}

// handle takes a packet, in the order of their coming.
func (c *client) handle(ctx context.Context, m packet.Message) {
	h, ok := handlers[m.ID]
	if !ok {
		return // generic packets, which nobody asked for
	}
	fail := func(err error) {
		if err == nil {
			return
		}
		if cloud.KindOf(err) == nil && ctx.Err() == nil {
			c.hub.Log.ErrorContext(ctx, "packet not handled", "packet", m.ID, "user", c.who.User, "err", err)
		}
		c.reply(m, packet.ErrorOf(err))
	}
	if !policy.NeedsEntry(h.need) {
		if err := policy.Check(c.who, h.need, nil); err != nil {
			fail(err)
			return
		}
	}
	room := c.room
	switch {
	case h.inOrder:
		defer c.hub.survive(c.conn, m)
		fail(h.do(c, ctx, m))
		return
	case h.queues != nil:
		room = c.queue
	}
	select {
	case room <- struct{}{}:
	case <-ctx.Done():
		return
	}
	do := h.do
	if h.queues != nil {
		do = h.queues(c)
	}
	c.work.Go(func() {
		defer func() { <-room }()
		defer c.hub.survive(c.conn, m)
		fail(do(c, ctx, m))
	})
}

// handler is what answers a packet.
type handler struct {
	// need is what the packet asks for. Of actions about an entry, package vfs
	// checks the entry.
	need policy.Action
	do   do
	// inOrder keeps the next packet waiting; do must not block.
	inOrder bool
	// queues, instead of do, takes the packet's place in a queue before the
	// next one comes, and gives what is to be done then.
	queues func(*client) do
}

// do answers a packet, or returns an error that is to answer it.
type do func(c *client, ctx context.Context, m packet.Message) error

func on[P packet.Packet](need policy.Action, f func(*client, context.Context, packet.Message, P) error) handler {
	return handler{need: need, do: func(c *client, ctx context.Context, m packet.Message) error {
		return f(c, ctx, m, m.Data.(P))
	}}
}

func (h handler) ordered() handler { h.inOrder = true; return h }

// yes answers packets of which nothing is to be told but that they are done.
func yes[P packet.Packet](need policy.Action, f func(*client, context.Context, P) error) handler {
	return on(need, func(c *client, ctx context.Context, m packet.Message, p P) error {
		if err := f(c, ctx, p); err != nil {
			return err
		}
		c.reply(m, packet.Boolean{Success: true})
		return nil
	})
}

// handlers are what a client may send. It is never changed.
var handlers = map[string]handler{
	packet.FolderStatusRequest{}.PacketID(): on(policy.ListFolder, (*client).folderStatus),
	packet.ListRequest{}.PacketID():         on(policy.ListFolder, (*client).list),
	packet.FolderSizeRequest{}.PacketID():   on(policy.ListFolder, (*client).folderSize),

	packet.CreateFolder{}.PacketID(): yes(policy.AddTo, (*client).createFolder),
	packet.RenameFolder{}.PacketID(): yes(policy.RenameEntry, (*client).renameFolder),
	packet.DeleteFolder{}.PacketID(): yes(policy.DeleteEntry, (*client).deleteFolder),

	packet.DeleteFile{}.PacketID():            yes(policy.DeleteEntry, (*client).deleteFile),
	packet.MoveFiles{}.PacketID():             on(policy.MoveEntry, (*client).moveFiles),
	packet.RenameFile{}.PacketID():            yes(policy.RenameEntry, (*client).renameFile),
	packet.FileShare{}.PacketID():             yes(policy.ShareEntry, (*client).shareFile),
	packet.TransferOwnership{}.PacketID():     yes(policy.TransferFile, (*client).transfer),
	packet.SignedDownloadRequest{}.PacketID(): on(policy.SignLink, (*client).signedDownload),
	packet.ThumbnailRequest{}.PacketID():      on(policy.SeeEntry, (*client).thumbnail),
	packet.EmptyFileUpload{}.PacketID():       yes(policy.Upload, (*client).emptyFile),

	packet.SharedRequest{}.PacketID():     on(policy.FindEntries, (*client).shared),
	packet.UserSearchRequest{}.PacketID(): on(policy.FindUsers, (*client).findUsers),
	packet.PingServices{}.PacketID():      on(policy.SeeServices, (*client).pingServices).ordered(),

	packet.UploadBookingRequest{}.PacketID():    on(policy.Upload, (*client).book).ordered(),
	packet.UploadBookingClear{}.PacketID():      on(policy.Upload, (*client).clear).ordered(),
	packet.UploadRequest{}.PacketID():           {need: policy.Upload, queues: (*client).upload},
	packet.UploadAbortRequest{}.PacketID():      on(policy.Upload, (*client).abort),
	packet.UploadOverwriteResponse{}.PacketID(): on(policy.Upload, (*client).answer),
	packet.UploadResume{}.PacketID():            on(policy.Upload, (*client).resume),
	packet.UploadPause{}.PacketID():             yes(policy.Upload, (*client).pause),
	packet.UploadHash{}.PacketID():              yes(policy.Upload, (*client).expect),
	packet.UploadsRequest{}.PacketID():          on(policy.Upload, (*client).pending),
}

// pingServices does nothing: no service of ours sleeps.
func (c *client) pingServices(context.Context, packet.Message, packet.PingServices) error { return nil }

// lookup finds what the client calls by a path.
func (c *client) lookup(ctx context.Context, path string) (cloud.Entry, error) {
	names, err := vfs.ParsePath(path)
	if err != nil {
		return cloud.Entry{}, err
	}
	if c.version == packet.V1 {
		return c.hub.FS.LookupV1(ctx, c.who, names)
	}
	return c.hub.FS.Lookup(ctx, c.who, names)
}

// folder finds a folder by its path.
func (c *client) folder(ctx context.Context, path string) (cloud.Entry, error) {
	e, err := c.lookup(ctx, path)
	if err == nil && !e.IsFolder() {
		return cloud.Entry{}, cloud.UserErrorf(cloud.ErrNotFound, "that is a file, not a folder")
	}
	return e, err
}

// child finds what the client calls by a name in a folder.
func (c *client) child(ctx context.Context, folder cloud.EntryID, name string) (cloud.Entry, error) {
	name, err := vfs.CleanName(name)
	if err != nil {
		return cloud.Entry{}, err
	}
	if c.version == packet.V1 {
		return c.hub.FS.ChildV1(ctx, c.who, folder, name)
	}
	return c.hub.FS.Child(ctx, c.who, folder, name)
}

// file finds a file by folder and name.
func (c *client) file(ctx context.Context, path, name string) (cloud.Entry, error) {
	folder, err := c.folder(ctx, path)
	if err != nil {
		return cloud.Entry{}, err
	}
	return c.fileIn(ctx, folder.ID, name)
}

func (c *client) fileIn(ctx context.Context, folder cloud.EntryID, name string) (cloud.Entry, error) {
	e, err := c.child(ctx, folder, name)
	if err == nil && e.IsFolder() {
		return cloud.Entry{}, cloud.UserErrorf(cloud.ErrNotFound, "that is a folder, not a file")
	}
	return e, err
}

// path gives the true names of a path that the client wrote, of which the last
// need not exist yet.
func (c *client) path(ctx context.Context, path string) ([]string, error) {
	names, err := vfs.ParsePath(path)
	if err != nil || c.version >= packet.V2 {
		return names, err
	}
	at := cloud.Root
	for i, name := range names {
		e, err := c.child(ctx, at, name)
		if errors.Is(err, cloud.ErrNotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		names[i] = e.Name
		if !e.IsFolder() {
			break // whoever needs a folder there says so
		}
		at = e.ID
	}
	return names, nil
}

// idOf is an id of the wire, where null is the root.
func idOf(id *int64) cloud.EntryID {
	if id == nil {
		return cloud.Root
	}
	return cloud.EntryID(*id)
}

// wireID is the id as packets of folders have it.
func wireID(id cloud.EntryID) *int64 {
	if id == cloud.Root {
		return nil
	}
	n := int64(id)
	return &n
}
