package wire

// ServiceIM is the service that the frames of messaging belong to.
const ServiceIM = 2

// Values of GenericCommand.notificationType.
const (
	NotificationPermanent = 1 // kept until the client has fetched it
	NotificationDroppable = 2
)

// The kind of a conversation, as convType and conv_type tell it.
const (
	KindNormal    = 1
	KindChatRoom  = 2
	KindService   = 3
	KindTemporary = 4
)

// Message priorities of chat rooms, in GenericCommand.priority.
const (
	PriorityHigh   = 1
	PriorityNormal = 2
	PriorityLow    = 3
)

// The feature bits of SessionCommand.configBitmap: what a client can take.
const (
	BitPatch         = 1 << 0 // patch pushes
	BitTemporary     = 1 << 1 // messages and unread counts of temporary conversations
	BitBindDevice    = 1 << 2 // bind device and installation for offline push
	BitTransientAck  = 1 << 3 // acks for transient messages
	BitNotifications = 1 << 4 // reliable notifications, fetched by REST
	BitPartialResult = 1 << 5 // allowedPids and failedPids
	BitGroupReceipts = 1 << 6 // receipts in groups
	BitOmitPeerID    = 1 << 7 // frames of the default session may omit peerId
)

// Bits of ConvCommand.flag in a query.
const (
	QueryCompact         = 1 << 0 // leave out the members
	QueryWithLastMessage = 1 << 1 // include the last message
)

// Message types, in the _lctype field of typed content.
const (
	TypeText     = -1
	TypeRecalled = -127
)

// RecalledContent is what a recalled message says from then on.
const RecalledContent = `{"_lctype":-127}`

// TemporaryPrefix begins the id of every temporary conversation.
const TemporaryPrefix = "_tmp:"

// DefaultTag is the tag that never conflicts.
const DefaultTag = "default"

// Limits of the protocol.
const (
	MaxClientID      = 64       // characters of a client id
	MaxMessageSize   = 5 * 1024 // bytes of content and push data together
	MaxMembers       = 500      // of a normal conversation
	MaxTempMembers   = 10       // of a temporary conversation
	MaxOnlineQuery   = 20       // ids of one online query
	MaxOnlineMembers = 50       // chat-room members in one answer
	MaxUnread        = 100      // count of one conversation
	MaxUnreadConvs   = 50       // conversations told at login
	MaxHistoryPage   = 1000
	DefaultHistory   = 20 // page size when the request names none
	DefaultQuery     = 10
	MaxQuery         = 1000
)

// Roles of the members of a normal conversation.
const (
	RoleOwner   = "Owner"
	RoleManager = "Manager"
	RoleMember  = "Member"
)
