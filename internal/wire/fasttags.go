package wire

// A tag is the number of a field and its wire type, as it begins the field.
const (
	varint = 0 // wire type of numbers and booleans
	length = 2 // wire type of strings, bytes and messages
)

// Tags of GenericCommand.
const (
	tagCmd              = 1<<3 | varint
	tagAppID            = 3<<3 | length
	tagPeerID           = 4<<3 | length
	tagI                = 5<<3 | varint
	tagPriority         = 7<<3 | varint
	tagService          = 8<<3 | varint
	tagServerTs         = 9<<3 | varint
	tagClientTs         = 10<<3 | varint
	tagNotificationType = 11<<3 | varint
	tagDirectMessage    = 104<<3 | length
	tagAckMessage       = 105<<3 | length
	tagLogsMessage      = 109<<3 | length
)

// Tags of DirectCommand.
const (
	tagDirectMsg            = 1<<3 | length
	tagDirectFromPeerID     = 3<<3 | length
	tagDirectTimestamp      = 4<<3 | varint
	tagDirectOffline        = 5<<3 | varint
	tagDirectHasMore        = 6<<3 | varint
	tagDirectR              = 10<<3 | varint
	tagDirectCid            = 11<<3 | length
	tagDirectID             = 12<<3 | length
	tagDirectTransient      = 13<<3 | varint
	tagDirectDt             = 14<<3 | length
	tagDirectPushData       = 16<<3 | length
	tagDirectWill           = 17<<3 | varint
	tagDirectPatchTimestamp = 18<<3 | varint
	tagDirectBinaryMsg      = 19<<3 | length
	tagDirectMentionPids    = 20<<3 | length
	tagDirectMentionAll     = 21<<3 | varint
	tagDirectConvType       = 22<<3 | varint
)

// Tags of AckCommand.
const (
	tagAckCode    = 1<<3 | varint
	tagAckReason  = 2<<3 | length
	tagAckMid     = 3<<3 | length
	tagAckCid     = 4<<3 | length
	tagAckT       = 5<<3 | varint
	tagAckUID     = 6<<3 | length
	tagAckFromTs  = 7<<3 | varint
	tagAckToTs    = 8<<3 | varint
	tagAckAppCode = 11<<3 | varint
	tagAckAppMsg  = 12<<3 | length
)

// Tags of LogsCommand, as far as an answer has them.
const (
	tagLogsCid  = 1<<3 | length
	tagLogsLogs = 105<<3 | length
)

// Tags of LogItem.
const (
	tagLogFrom           = 1<<3 | length
	tagLogData           = 2<<3 | length
	tagLogTimestamp      = 3<<3 | varint
	tagLogMsgID          = 4<<3 | length
	tagLogAckAt          = 5<<3 | varint
	tagLogReadAt         = 6<<3 | varint
	tagLogPatchTimestamp = 7<<3 | varint
	tagLogMentionAll     = 8<<3 | varint
	tagLogMentionPids    = 9<<3 | length
	tagLogBin            = 10<<3 | varint
	tagLogConvType       = 11<<3 | varint
)
