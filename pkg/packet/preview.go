package packet

// Thumbnail services as version 2 speaks with them: one object at a time, read
// from the manager by ranges, and several sizes of it back.

// ThumbnailConfigure tells a thumbnail service what to make. It is the first
// packet it gets; the message of its answer says what the service lacks.
// Version 2.
type ThumbnailConfigure struct {
	Sizes      []int64 `json:"sizes"`       // pixels of the longer side, ascending
	Quality    int64   `json:"quality"`     // of JPEG, 1 to 100
	ImageLimit int64   `json:"image_limit"` // bytes of one image at most
	Seconds    int64   `json:"seconds"`     // for one job
}

// ThumbnailJob asks for the images of one object. The answer says whether the
// service has taken it. Version 2.
type ThumbnailJob struct {
	Job    string `json:"job"`
	Size   int64  `json:"size"`
	Type   string `json:"type"`   // MIME type, a hint
	Source string `json:"source"` // path on the manager's port
	Ticket Secret `json:"ticket"` // bearer of the source, while the job runs
}

// ThumbnailDone ends a job. Version 2.
type ThumbnailDone struct {
	Job       string           `json:"job"`
	Success   bool             `json:"success"`
	Reason    string           `json:"reason,omitempty"`
	Transient bool             `json:"transient,omitempty"` // another attempt may succeed
	Images    []ThumbnailImage `json:"images,omitempty"`
	Facts     *MediaFacts      `json:"facts,omitempty"`
}

// ThumbnailImage is one size of a thumbnail.
type ThumbnailImage struct {
	Size int64  `json:"size"` // that it is for: the longer side has no more pixels
	Data string `json:"data"` // base64 of a JPEG
}

// MediaFacts is what a thumbnail service has found out about an object.
type MediaFacts struct {
	Width    int64  `json:"width,omitempty"` // pixels, as shown
	Height   int64  `json:"height,omitempty"`
	Duration int64  `json:"duration,omitempty"` // milliseconds
	TakenAt  string `json:"taken_at,omitempty"` // local time of the camera
	Camera   string `json:"camera,omitempty"`
	Title    string `json:"title,omitempty"`
	Artist   string `json:"artist,omitempty"`
	Album    string `json:"album,omitempty"`
	Codec    string `json:"codec,omitempty"`
	Pages    int64  `json:"pages,omitempty"`
}

// PacketID implements Packet.
func (ThumbnailConfigure) PacketID() string { return "s2t:thumbnail-configure" }

// PacketID implements Packet.
func (ThumbnailJob) PacketID() string { return "s2t:thumbnail-job" }

// PacketID implements Packet.
func (ThumbnailDone) PacketID() string { return "t2s:thumbnail-done" }

var previewPackets = []spec{
	{packet: ThumbnailConfigure{}, since: V2, replies: yesOrNo, fields: fields(
		list("sizes", integer("").atLeast(16).atMost(4096)).atLeastItems(1),
		integer("quality").atLeast(1).atMost(100),
		integer("image_limit").atLeast(1),
		integer("seconds").atLeast(1),
	)},
	{packet: ThumbnailJob{}, since: V2, replies: yesOrNo, fields: fields(
		text("job").as(asUUID),
		count("size"),
		text("type"),
		text("source").notEmpty(),
		text("ticket").notEmpty(),
	)},
	{packet: ThumbnailDone{}, since: V2, replies: yesOrNo, fields: fields(
		text("job").as(asUUID),
		flag("success"),
		text("reason").atMostUnits(200).optional(),
		flag("transient").optional(),
		list("images", record("",
			integer("size").atLeast(16).atMost(4096),
			text("data").as(asBase64),
		)).optional(),
		record("facts",
			count("width").optional(),
			count("height").optional(),
			count("duration").optional(),
			text("taken_at").atMostUnits(40).optional(),
			text("camera").atMostUnits(100).optional(),
			text("title").atMostUnits(200).optional(),
			text("artist").atMostUnits(200).optional(),
			text("album").atMostUnits(200).optional(),
			text("codec").atMostUnits(40).optional(),
			count("pages").optional(),
		).optional(),
	)},
}
