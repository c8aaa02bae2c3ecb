package upload

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
	"discordcloud/pkg/packet"
)

// part is one part of a file, read whole.
type part struct {
	index  int64
	plain  []byte
	leaves []cloud.Sum
	last   bool // it ends a file whose size was not known
}

// put seals and stores a part and has the manager record where it lies.
func (s *Service) put(ctx context.Context, t *transfer, p part) error {
	// What is stored while the manager is gone could only become garbage.
	waiting, cancel := s.patience(ctx)
	_, err := t.connected(waiting, nil)
	cancel()
	if err != nil {
		return err
	}
	chunks, err := s.seal(ctx, t, p)
	if err != nil {
		return err
	}
	report := packet.PartStored{UploadID: string(t.id), Part: p.index, Chunks: chunks, Last: p.last, AttachmentLimit: s.lowered()}
	if p.index == 0 {
		report.Type = sniff(p.plain[:min(len(p.plain), 64<<10)])
	}
	return s.report(ctx, t, report)
}

// patience bounds the wait for a manager that is gone.
func (s *Service) patience(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, s.cfg.Reconnect,
		cloud.UserErrorf(cloud.ErrUnavailable, "the manager cannot be reached, send the chunk again later"))
}

// errStore marks what went wrong between us and the store.
var errStore = errors.New("store the chunk")

// seal stores a part: as one chunk, or as several if the store's limit has
// fallen below what the part was made for. Chunks begin at leaves.
func (s *Service) seal(ctx context.Context, t *transfer, p part) ([]packet.StoredChunk, error) {
	key, ext, err := t.secrets()
	if err != nil {
		return nil, err
	}
	defer func() { clear(key[:]); clear(ext) }()
	store := s.borrow()
	if store == nil {
		return nil, errShutdown
	}
	defer store.done()

	begin := p.index * t.partSize
	if p.index > 0 {
		ext = nil
	}
	most := int64(len(p.plain)) // plain bytes of one chunk
	if limit := store.Limit(); chunk.SealedSize(most, extRoom(ext)) > limit {
		most = smaller(limit, most)
	}
	var chunks []packet.StoredChunk
	for done := int64(0); done < int64(len(p.plain)); {
		if most == 0 {
			return nil, fmt.Errorf("%w: %w: a single leaf", errStore, cloud.ErrTooLarge)
		}
		n := min(most, int64(len(p.plain))-done)
		piece := p.plain[done : done+n]
		sealed, err := crypt.Seal(key, t.object, crypt.Header{
			Kind:  crypt.Data,
			Final: begin+done+n == t.size || p.last && done+n == int64(len(p.plain)),
			Index: t.chunkIndex(p.index, len(chunks)),
			Size:  n, Offset: begin + done, ObjectSize: t.size,
			Time: s.cfg.Now(),
		}, ext, piece)
		if err != nil {
			return nil, fmt.Errorf("seal: %w", err)
		}
		ref, err := store.Put(ctx, sealed)
		switch {
		case errors.Is(err, cloud.ErrTooLarge):
			most = smaller(store.Limit(), n)
			s.log.WarnContext(ctx, "attachment limit fell, chunk is split", "upload", t.id, "chunk", p.index, "bytes", most)
			continue
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err != nil:
			return nil, fmt.Errorf("%w: %w", errStore, err)
		}
		leaves := p.leaves[done/chunk.Leaf : (done+n-1)/chunk.Leaf+1]
		chunks = append(chunks, stored(sealed.Chunk(), ref, crc32.ChecksumIEEE(piece), leaves))
		done += n
		ext = nil
	}
	return chunks, nil
}

// extRoom is the length of a plain extension once it is sealed.
func extRoom(ext []byte) int {
	if len(ext) == 0 {
		return 0
	}
	return len(ext) + chunk.Tag
}

// smaller is the size of pieces for a limit under which n bytes did not go: less
// than n in any case, whole leaves, or 0 if there is nothing less.
func smaller(limit, n int64) int64 {
	if most := chunk.PlainMax(limit); most > 0 && most < n {
		return most
	}
	half := (n + 1) / 2
	if half = (half + chunk.Leaf - 1) / chunk.Leaf * chunk.Leaf; half < n {
		return half
	}
	return 0
}

// chunkIndex is what chunk i of a part is called: the first one as the part,
// the others by numbers behind those of all parts. They depend on nothing but
// the part, so that no two are the same, whoever stores them.
func (t *transfer) chunkIndex(part int64, i int) int {
	if i == 0 {
		return int(part)
	}
	extra := (t.partSize - 1) / chunk.Leaf // at most, for each part
	return int(t.parts + part*extra + int64(i) - 1)
}

// stored is a chunk as the manager is told of it.
func stored(c cloud.Chunk, ref cloud.Ref, sum uint32, leaves []cloud.Sum) packet.StoredChunk {
	raw := make([]byte, 0, len(leaves)*len(cloud.Sum{}))
	for _, leaf := range leaves {
		raw = append(raw, leaf[:]...)
	}
	return packet.StoredChunk{
		Index: int64(c.Index), Offset: c.Offset, Size: c.Size, Ext: int64(c.Ext), SealedSize: c.SealedSize,
		Salt: hex.EncodeToString(c.Salt[:]), Header: hex.EncodeToString(c.Header[:]),
		CRC32: int64(sum), Leaves: base64.StdEncoding.EncodeToString(raw),
		Channel: ref.Channel, Message: ref.Message, Attachment: ref.Attachment, Path: ref.Path,
	}
}

// report has the manager record a part. If the connection fails, the report goes
// out again once the manager has opened the upload again, unless it says by
// then that it knows the part.
func (s *Service) report(ctx context.Context, t *transfer, p packet.PartStored) error {
	ctx, cancel := s.patience(ctx)
	defer cancel()
	var failed *packet.Conn
	for {
		conn, err := t.connected(ctx, failed)
		if err != nil {
			return err
		}
		if t.confirmed(p.Part) {
			return nil
		}
		answer, err := conn.Call(ctx, p)
		switch a, ok := answer.(packet.Boolean); {
		case ok && a.Success:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case ok:
			return fmt.Errorf("%w: %w", errStore, cloud.UserErrorf(cloud.ErrInvalid, "the manager refused the chunk: %s", a.Message))
		case errors.Is(err, cloud.ErrNotFound) && t.heldBy() != nil && t.heldBy() != conn:
			continue // another manager has it by now
		case errors.Is(err, cloud.ErrExists), errors.Is(err, cloud.ErrNotFound):
			return fmt.Errorf("report: %w", err) // another service was faster, or the upload has ended
		case !errors.Is(err, cloud.ErrUnavailable):
			return fmt.Errorf("%w: report: %w", errStore, err)
		}
		s.log.WarnContext(ctx, "chunk not reported yet", "upload", t.id, "chunk", p.Part, "err", err)
		// Another connection is waited for if this one has ended. If it was the
		// manager that was slow, the same one is tried again, but not in a hurry.
		failed = conn
		if again, err := t.pause(ctx, conn, min(time.Second, s.cfg.Reconnect/4)); err != nil {
			return err
		} else if again {
			failed = nil
		}
	}
}
