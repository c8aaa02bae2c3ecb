/** What the server says over HTTP. Sizes are bytes, times RFC 3339. */

export type Kind = 'file' | 'folder';
export type Access = 'owned' | 'public' | 'shared' | 'restricted';

export type Entry = {
  id: number; // 0 is the top folder
  parent: number;
  name: string;
  kind: Kind;
  size: number;
  type: string; // MIME type, '' for folders
  hash?: string;
  sha256?: string;
  has_thumbnail: boolean;
  preview?: string; // a BlurHash
  created_at: string;
  updated_at: string;
  modified_at: string;
  owner: { id: number; name: string } | null;
  public: boolean;
  access: Access;
  can: 'rw' | 'r' | 'none';
};

export type Place = { id: number; name: string };
export type Located = { entry: Entry; path: Place[]; media?: Media };
/** What is known of pictures, films and sounds. Durations are milliseconds. */
export type Media = { width?: number; height?: number; duration?: number; taken_at?: string; camera?: string; title?: string; artist?: string; album?: string; codec?: string; pages?: number };

export type Sort = 'name' | 'size' | 'updated_at' | 'type' | 'owner';
export type Order = 'asc' | 'desc';
export type Listing = { entries: Entry[]; next: string; files: number; folders: number };
/** What a search has found: entries with the path of the folder that each is in. */
export type Hit = Entry & { path: string };
export type Found = { entries: Hit[]; next: string };
export type Sizes = { bytes: number; files: number; folders: number; types: Record<string, number> };

export type User = { id: number; name: string; administrator: boolean };
export type Signed = { token: string; expires_at: string; user: User };
export type Status = { version: string; setup_required: boolean; setup_needs_code: boolean; max_name: number; passkeys_at?: string; mail?: boolean; openid?: string };
export type Ticket = { ticket: string; expires_at: string };
export type Conflict = 'fail' | 'replace' | 'rename';

export type SessionInfo = { id: string; created_at: string; used_at: string; expires_at: string; agent: string; address: string; current: boolean };
export type AppPassword = { id: number; name: string; read_only: boolean; path: string; created_at: string; used_at: string | null };

/** What a channel of Discord holds of a file. */
export type Channel = { id: string; messages: number; chunks: number; sealed_bytes: number };
/** A service that works for the cloud; busy is how many of its places are taken. */
export type Service = { id: string; type: 'upload' | 'thumbnail'; address: string; busy: number; capacity: number };

/** Something that was deleted; its entry has the name that it had, `path` is the folder that it was in. */
export type Trashed = {
  entry: Entry;
  path: string;
  deleted_at: string;
  deleted_by: { id: number; name: string } | null;
  expires_at: string | null;
  files: number;
  folders: number;
  bytes: number;
  /** Who asks may delete it for good. */
  purge: boolean;
};
export type Trash = { items: Trashed[]; next: string; days: number };
