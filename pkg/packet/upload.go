package packet

// Uploads, between a client and the manager.

// UploadRequest asks to upload a file.
type UploadRequest struct {
	Name        string `json:"name"`
	Path        string `json:"path"` // of the folder; made if missing
	Size        int64  `json:"size"` // in bytes; 0 on version 2 only
	IsPublic    bool   `json:"is_public"`
	DoOverwrite bool   `json:"do_overwrite,omitempty"`

	// Of version 2:
	Conflict   string `json:"conflict,omitempty"`    // one of the Conflict constants; "" as version 1 does
	ModifiedAt *int64 `json:"modified_at,omitempty"` // of the content, Unix milliseconds
	Type       string `json:"type,omitempty"`        // MIME type, a hint
	FolderID   int64  `json:"folder_id,omitempty"`   // of the folder that Path begins in; 0 is the root
}

// What is to happen if the name is taken, in UploadRequest and, but for
// ConflictAsk and ConflictFail, in UploadOverwriteResponse.
const (
	ConflictAsk       = "ask"
	ConflictOverwrite = "overwrite"
	ConflictRename    = "rename"
	ConflictSkip      = "skip"
	ConflictFail      = "fail"
)

// UploadResponse answers UploadRequest and UploadResume.
type UploadResponse struct {
	Name            string `json:"name"` // as requested
	Path            string `json:"path"`
	Accepted        bool   `json:"accepted"`
	UploadID        string `json:"upload_id"`                // a UUID even if not accepted
	ChunkSize       int64  `json:"chunk_size"`               // at least 1 even if not accepted
	UploadAddress   string `json:"upload_address,omitempty"` // set if accepted and there are chunks to send
	RejectionReason string `json:"rejection_reason,omitempty"`

	// Of version 2:
	Confirmed     []Range `json:"confirmed,omitempty"`      // chunks that are stored already
	Size          *int64  `json:"size,omitempty"`           // of the file, in bytes
	RejectionCode string  `json:"rejection_code,omitempty"` // of cloud.CodeOf
}

// Range is a run of consecutive numbers: its first and its last, both counted.
type Range = [2]int64

// UploadAbortRequest ends an upload.
type UploadAbortRequest struct {
	UploadID string `json:"upload_id"`
}

// UploadOverwriteResponse answers UploadOverwriteRequest some time later.
type UploadOverwriteResponse struct {
	UploadID        string `json:"upload_id"`
	Action          string `json:"action"` // ConflictSkip, ConflictOverwrite or ConflictRename
	UseOnAllUploads bool   `json:"use_on_all_uploads,omitempty"`
}

// UploadStageFinish tells that all chunks have come, or none will; how the
// upload ends is told by UploadFinishInfo, always later.
type UploadStageFinish struct {
	UploadID          string `json:"upload_id"`
	ServiceDisconnect bool   `json:"service_disconnect,omitempty"`
}

// UploadFinishInfo tells how an upload ended.
type UploadFinishInfo struct {
	Success      bool   `json:"success"`
	UploadID     string `json:"upload_id"`
	RenameTarget string `json:"rename_target,omitempty"` // the name, where it is not the one asked for
	Reason       string `json:"reason,omitempty"`        // of a failure, to be shown
	Code         string `json:"code,omitempty"`          // of a failure, as of cloud.CodeOf, where there is one; version 2
}

// UploadOverwriteRequest asks what to do about a name that is taken.
type UploadOverwriteRequest struct {
	UploadID string `json:"upload_id"`
	FileName string `json:"file_name"`
	FilePath string `json:"file_path"`           // of the folder
	FolderID int64  `json:"folder_id,omitempty"` // as in UploadRequest; version 2
}

// UploadOverwriteCancel tells that all open overwrite questions are settled.
type UploadOverwriteCancel struct{}

// UploadResume asks to go on with an upload that was interrupted. Version 2.
type UploadResume struct {
	UploadID string `json:"upload_id"`
}

// UploadsRequest asks for the user's unfinished uploads. Version 2.
type UploadsRequest struct{}

// Uploads answers UploadsRequest. Version 2.
type Uploads struct {
	Uploads []PendingUpload `json:"uploads"`
}

// PendingUpload is an upload that has not ended.
type PendingUpload struct {
	UploadID  string  `json:"upload_id"`
	Name      string  `json:"name"`
	Path      string  `json:"path"` // of the folder
	Size      int64   `json:"size"`
	ChunkSize int64   `json:"chunk_size"`
	Confirmed []Range `json:"confirmed"`
	CreatedAt string  `json:"created_at"` // RFC 3339
	// WaitingForAnswer tells that all chunks are stored and the overwrite
	// question is open.
	WaitingForAnswer bool `json:"waiting_for_answer"`
	// Active tells that a connection, maybe the asking one, works on it.
	Active   bool  `json:"active"`
	FolderID int64 `json:"folder_id,omitempty"` // as in UploadRequest
}

// UploadInterrupted tells that the service of an upload is gone but what it
// confirmed is kept: the client may ask with UploadResume. Version 2.
type UploadInterrupted struct {
	UploadID string `json:"upload_id"`
	Reason   string `json:"reason"`
	Code     string `json:"code,omitempty"` // as of cloud.CodeOf, where there is one
}

// UploadPause gives an upload's slot back; UploadResume goes on. Version 2.
type UploadPause struct {
	UploadID string `json:"upload_id"`
}

// UploadHash tells the hash of the file that is being uploaded: what arrives
// otherwise is no file. Version 2.
type UploadHash struct {
	UploadID string `json:"upload_id"`
	Hash     string `json:"hash"` // of the tree, in hex
}

// PacketID implements Packet.
func (UploadRequest) PacketID() string { return "c2s:upload-request" }

// PacketID implements Packet.
func (UploadResponse) PacketID() string { return "s2c:upload-response" }

// PacketID implements Packet.
func (UploadAbortRequest) PacketID() string { return "c2s:upload-abort-request" }

// PacketID implements Packet.
func (UploadOverwriteResponse) PacketID() string { return "c2s:upload-overwrite-response" }

// PacketID implements Packet.
func (UploadStageFinish) PacketID() string { return "s2c:upload-stage-finish" }

// PacketID implements Packet.
func (UploadFinishInfo) PacketID() string { return "s2c:upload-finish-info" }

// PacketID implements Packet.
func (UploadOverwriteRequest) PacketID() string { return "s2c:upload-overwrite-request" }

// PacketID implements Packet.
func (UploadOverwriteCancel) PacketID() string { return "s2c:upload-overwrite-cancel" }

// PacketID implements Packet.
func (UploadResume) PacketID() string { return "c2s:upload-resume" }

// PacketID implements Packet.
func (UploadsRequest) PacketID() string { return "c2s:uploads-request" }

// PacketID implements Packet.
func (Uploads) PacketID() string { return "s2c:uploads" }

// PacketID implements Packet.
func (UploadPause) PacketID() string { return "c2s:upload-pause" }

// PacketID implements Packet.
func (UploadHash) PacketID() string { return "c2s:upload-hash" }

// PacketID implements Packet.
func (UploadInterrupted) PacketID() string { return "s2c:upload-interrupted" }

var uploadPackets = []spec{
	{packet: UploadRequest{}, replies: []Packet{UploadResponse{}}, fields: fields(
		text("name").as(asName),
		text("path").as(asPath),
		integer("size").atLeast(1).atLeastV2(0),
		flag("is_public"),
		flag("do_overwrite").optional(),
		text("conflict").oneOf(ConflictAsk, ConflictOverwrite, ConflictRename, ConflictSkip, ConflictFail).optional().v2(),
		integer("modified_at").optional().v2(),
		text("type").atMostUnits(255).optional().v2(),
		count("folder_id").optional().v2(),
	)},
	{packet: UploadResponse{}, fields: fields(
		text("name"),
		text("path"),
		flag("accepted"),
		text("upload_id").as(asUUID),
		integer("chunk_size").atLeast(1),
		text("upload_address").optional(),
		text("rejection_reason").optional(),
		ranges("confirmed").optional().v2(),
		count("size").optional().v2(),
		text("rejection_code").optional().v2(),
	)},
	{packet: UploadAbortRequest{}, replies: yesOrNo, fields: fields(
		text("upload_id").as(asUUID),
	)},
	{packet: UploadOverwriteResponse{}, fields: fields(
		text("upload_id").as(asUUID),
		text("action").oneOf(ConflictSkip, ConflictOverwrite, ConflictRename),
		flag("use_on_all_uploads").optional(),
	)},
	{packet: UploadStageFinish{}, fields: fields(
		text("upload_id").as(asUUID),
		flag("service_disconnect").only(true).optional(),
	)},
	{packet: UploadFinishInfo{}, fields: fields(
		flag("success"),
		text("upload_id").as(asUUID),
		text("rename_target").optional(),
		text("reason").optional(),
		text("code").optional().v2(),
	)},
	{packet: UploadOverwriteRequest{}, fields: fields(
		text("upload_id").as(asUUID),
		text("file_name").as(asName),
		text("file_path").as(asPath),
		count("folder_id").optional().v2(),
	)},
	{packet: UploadOverwriteCancel{}},
	{packet: UploadResume{}, since: V2, replies: []Packet{UploadResponse{}}, fields: fields(
		text("upload_id").as(asUUID),
	)},
	{packet: UploadPause{}, since: V2, replies: yesOrNo, fields: fields(
		text("upload_id").as(asUUID),
	)},
	{packet: UploadHash{}, since: V2, replies: yesOrNo, fields: fields(
		text("upload_id").as(asUUID),
		text("hash").as(asHash),
	)},
	{packet: UploadsRequest{}, since: V2, replies: []Packet{Uploads{}}},
	{packet: Uploads{}, since: V2, fields: fields(
		list("uploads", record("",
			text("upload_id").as(asUUID),
			text("name").as(asName),
			text("path").as(asPath),
			count("size"),
			integer("chunk_size").atLeast(1),
			ranges("confirmed"),
			text("created_at").as(asTime),
			flag("waiting_for_answer"),
			flag("active"),
			count("folder_id").optional(),
		)),
	)},
	{packet: UploadInterrupted{}, since: V2, fields: fields(
		text("upload_id").as(asUUID),
		text("reason"),
		text("code").optional(),
	)},
}
