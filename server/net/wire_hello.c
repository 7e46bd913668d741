#include "net/wire.h"

#include "common/codec.h"
#include "common/err.h"
#include "common/json.h"
#include "common/text.h"

#define HELLO_MEMBERS_COUNT  25
#define MEMBER_MEMBERS_COUNT 4

static const char *const purposes[] = {
	[WIRE_APPEND] = "append",
	[WIRE_BULK] = "bulk",
	[WIRE_SNAPSHOT] = "snapshot",
	[WIRE_FORWARD] = "forward",
	[WIRE_PROBE] = "probe",
};

static const char *const stages[] = {
	[NODE_HELLO_FOUNDING] = "founding",
	[NODE_HELLO_JOINING] = "joining",
	[NODE_HELLO_MEMBER] = "member",
	[NODE_HELLO_PROBE] = "probe",
};

static void
append_name(struct buf *to, const char *name)
{
	buf_append_text(to, ",\"");
	buf_append_text(to, name);
	buf_append_text(to, "\":");
}

static void
append_u64(struct buf *to, const char *name, uint64_t value)
{
	append_name(to, name);
	buf_append_u64(to, value);
}

static void
append_text(struct buf *to, const char *name, const char *value)
{
	append_name(to, name);
	text_append_json_string(to, slice_from_text(value));
}

static void
append_hex(struct buf *to, const char *name, const uint8_t *bytes, size_t size)
{
	append_name(to, name);
	buf_append_text(to, "\"");
	text_append_hex(to, slice_of(bytes, size));
	buf_append_text(to, "\"");
}

static void
append_flag(struct buf *to, const char *name, bool flag)
{
	append_name(to, name);
	buf_append_text(to, flag ? "true" : "false");
}

static void
append_members(struct buf *to, const struct node_members *members)
{
	append_name(to, "members");
	buf_append_text(to, "[");
	for (unsigned i = 0; i < members->count; i++) {
		buf_append_text(to, i == 0 ? "{\"id\":" : ",{\"id\":");
		buf_append_u64(to, members->member[i].id);
		append_text(to, "name", members->member[i].name);
		append_text(to, "address", members->member[i].address);
		append_hex(to, "directory", members->member[i].directory,
		    NODE_NONCE_SIZE);
		buf_append_text(to, "}");
	}
	buf_append_text(to, "]");
}

void
wire_append_hello(struct buf *to, const struct wire_hello *hello)
{
	const struct node_hello *node = &hello->node;
	uint8_t boot[8];
	uint8_t known_boot[8];
	uint8_t former[8 * NODE_FORMER_LIVES];

	codec_store_u64(boot, node->boot_id);
	codec_store_u64(known_boot, node->known_boot_id);
	for (size_t i = 0; i < NODE_FORMER_LIVES; i++)
		codec_store_u64(former + 8 * i, node->former_boot_ids[i]);
	buf_append_text(to, "{\"version\":");
	buf_append_u64(to, WIRE_VERSION);
	append_text(to, "purpose", purposes[hello->purpose]);
	append_hex(to, "nonce", hello->nonce, sizeof(hello->nonce));
	append_text(to, "stage", stages[node->stage]);
	append_u64(to, "from", node->from);
	append_u64(to, "to", node->to);
	append_text(to, "to_address", node->to_address);
	append_hex(to, "boot", boot, sizeof(boot));
	append_u64(to, "incarnation", node->incarnation);
	append_hex(to, "former_boots", former, sizeof(former));
	append_u64(to, "term", node->term);
	append_u64(to, "last_index", node->last_index);
	append_u64(to, "generation", node->generation);
	append_flag(to, "damaged", node->damaged);
	append_text(to, "cluster", node->cluster);
	append_hex(to, "cluster_id", node->cluster_id, NODE_NONCE_SIZE);
	append_text(to, "name", node->name);
	append_hex(to, "directory", node->directory, NODE_NONCE_SIZE);
	append_hex(
	    to, "known_directory", node->known_directory, NODE_NONCE_SIZE);
	append_u64(to, "known_incarnation", node->known_incarnation);
	append_hex(to, "known_boot", known_boot, sizeof(known_boot));
	append_u64(to, "known_last_index", node->known_last_index);
	append_u64(to, "members_index", node->members_index);
	append_members(to, &node->members);
	append_flag(to, "to_votes", node->to_votes);
	buf_append_text(to, "}");
}

/* A string of at most size-1 bytes, without NUL as jansson refuses that. */
static int
get_optional_text(const json_t *object, const char *name, char *to, size_t size)
{
	struct slice text;
	int rc = json_get_text(object, name, &text);

	if (rc != 0)
		return rc;
	if (text.size >= size)
		return ERR_INVALID;
	memcpy(to, text.data, text.size);
	to[text.size] = '\0';
	return 0;
}

/* The same, and not empty. */
static int
get_text(const json_t *object, const char *name, char *to, size_t size)
{
	int rc = get_optional_text(object, name, to, size);

	return rc == 0 && to[0] == '\0' ? ERR_INVALID : rc;
}

static int
get_number(const json_t *object, const char *name, uint64_t *ret_number)
{
	uint64_t number;
	int rc = json_get_u64(object, name, &number);

	if (rc != 0)
		return rc;
	if (number > RAFT_NUMBER_MAX)
		return ERR_INVALID;
	*ret_number = number;
	return 0;
}

static int
get_u32(const json_t *object, const char *name, uint32_t *ret_number)
{
	uint64_t number;
	int rc = get_number(object, name, &number);

	if (rc != 0)
		return rc;
	if (number > UINT32_MAX)
		return ERR_INVALID;
	*ret_number = (uint32_t)number;
	return 0;
}

/* One of `count` words, as its place. */
static int
get_word(const json_t *object, const char *name, const char *const *words,
    unsigned count, unsigned *ret_place)
{
	struct slice text;
	int rc = json_get_text(object, name, &text);

	if (rc != 0)
		return rc;
	for (unsigned i = 0; i < count; i++) {
		if (slice_equal(text, slice_from_text(words[i]))) {
			*ret_place = i;
			return 0;
		}
	}
	return ERR_INVALID;
}

static int
get_purpose(const json_t *object, enum wire_purpose *ret_purpose)
{
	unsigned place;
	int rc = get_word(
	    object, "purpose", purposes, ARRAY_COUNT(purposes), &place);

	if (rc == 0)
		*ret_purpose = (enum wire_purpose)place;
	return rc;
}

static int
get_stage(const json_t *object, enum node_hello_stage *ret_stage)
{
	unsigned place;
	int rc = get_word(object, "stage", stages, ARRAY_COUNT(stages), &place);

	if (rc == 0)
		*ret_stage = (enum node_hello_stage)place;
	return rc;
}

static int
get_boot(const json_t *object, uint64_t *ret_boot_id)
{
	uint8_t boot[8];
	int rc = json_get_hex(object, "boot", boot, sizeof(boot));

	if (rc != 0)
		return rc;
	*ret_boot_id = codec_load_u64(boot);
	return *ret_boot_id == 0 ? ERR_INVALID : 0;
}

static int
get_member(const json_t *object, struct node_member *member)
{
	if (!json_is_object(object) ||
	    json_object_size(object) != MEMBER_MEMBERS_COUNT ||
	    get_number(object, "id", &member->id) != 0 || member->id == 0 ||
	    get_text(object, "name", member->name, sizeof(member->name)) != 0 ||
	    get_text(object, "address", member->address,
		sizeof(member->address)) != 0 ||
	    json_get_hex(
		object, "directory", member->directory, NODE_NONCE_SIZE) != 0)
		return ERR_INVALID;
	return 0;
}

static int
get_members(const json_t *object, struct node_members *members)
{
	json_t *array;
	int rc = json_get_array(object, "members", &array);

	if (rc != 0)
		return rc;
	if (json_array_size(array) > NODE_MEMBERS_MAX)
		return ERR_INVALID;
	members->count = (unsigned)json_array_size(array);
	for (unsigned i = 0; i < members->count; i++) {
		struct node_member *member = &members->member[i];

		rc = get_member(json_array_get(array, i), member);
		if (rc != 0)
			return rc;
		if (i != 0 && member->id <= members->member[i - 1].id)
			return ERR_INVALID;
	}
	return 0;
}

/* Who is nobody yet has no id, and knows of no members; who probes does not
 * know whom; who lost a directory has a new one, and is nobody in it. */
static bool
fits_stage(const struct node_hello *node)
{
	bool is_joining = node->stage == NODE_HELLO_JOINING;
	bool is_probe = node->stage == NODE_HELLO_PROBE;

	return (node->from == 0) == is_joining && (node->to == 0) == is_probe &&
	       (node->members.count == 0) == is_joining &&
	       !(node->to_votes && (is_joining || is_probe)) &&
	       !(node->damaged && !is_joining);
}

static int
get_former_boots(const json_t *object, struct node_hello *node)
{
	uint8_t former[8 * NODE_FORMER_LIVES];
	int rc = json_get_hex(object, "former_boots", former, sizeof(former));

	for (size_t i = 0; rc == 0 && i < NODE_FORMER_LIVES; i++)
		node->former_boot_ids[i] = codec_load_u64(former + 8 * i);
	return rc;
}

/* How far the sender has come. */
static int
get_progress(const json_t *object, struct node_hello *node)
{
	if (get_boot(object, &node->boot_id) != 0 ||
	    get_number(object, "incarnation", &node->incarnation) != 0 ||
	    get_former_boots(object, node) != 0 ||
	    get_number(object, "term", &node->term) != 0 ||
	    get_number(object, "last_index", &node->last_index) != 0 ||
	    get_u32(object, "generation", &node->generation) != 0 ||
	    json_get_bool(object, "damaged", &node->damaged) != 0)
		return ERR_INVALID;
	return 0;
}

/* What the sender knows of the receiver; nothing: zeros. */
static int
get_known(const json_t *object, struct node_hello *node)
{
	uint8_t boot[8];

	if (json_get_hex(object, "known_directory", node->known_directory,
		NODE_NONCE_SIZE) != 0 ||
	    get_number(object, "known_incarnation", &node->known_incarnation) !=
		0 ||
	    json_get_hex(object, "known_boot", boot, sizeof(boot)) != 0 ||
	    get_number(object, "known_last_index", &node->known_last_index) !=
		0)
		return ERR_INVALID;
	node->known_boot_id = codec_load_u64(boot);
	return 0;
}

static int
get_node(const json_t *object, struct node_hello *node)
{
	if (get_stage(object, &node->stage) != 0 ||
	    get_number(object, "from", &node->from) != 0 ||
	    get_number(object, "to", &node->to) != 0 ||
	    get_optional_text(object, "to_address", node->to_address,
		sizeof(node->to_address)) != 0 ||
	    get_progress(object, node) != 0 ||
	    get_text(object, "cluster", node->cluster, sizeof(node->cluster)) !=
		0 ||
	    json_get_hex(
		object, "cluster_id", node->cluster_id, NODE_NONCE_SIZE) != 0 ||
	    get_text(object, "name", node->name, sizeof(node->name)) != 0 ||
	    json_get_hex(
		object, "directory", node->directory, NODE_NONCE_SIZE) != 0 ||
	    get_known(object, node) != 0 ||
	    get_number(object, "members_index", &node->members_index) != 0 ||
	    get_members(object, &node->members) != 0 ||
	    json_get_bool(object, "to_votes", &node->to_votes) != 0)
		return ERR_INVALID;
	return fits_stage(node) ? 0 : ERR_INVALID;
}

static int
get_hello(const json_t *object, struct wire_hello *hello)
{
	uint64_t version;

	if (json_get_u64(object, "version", &version) != 0)
		return ERR_INVALID;
	if (version != WIRE_VERSION)
		return ERR_VERSION;
	if (json_object_size(object) != HELLO_MEMBERS_COUNT ||
	    get_purpose(object, &hello->purpose) != 0 ||
	    json_get_hex(object, "nonce", hello->nonce, WIRE_NONCE_SIZE) != 0)
		return ERR_INVALID;
	return get_node(object, &hello->node);
}

int
wire_decode_hello(struct slice text, struct wire_hello *ret_hello)
{
	struct wire_hello hello = { 0 };
	json_t *object;
	int rc = json_parse_object(text, WIRE_HELLO_SIZE_MAX, &object);

	if (rc != 0)
		return rc;
	rc = get_hello(object, &hello);
	json_decref(object);
	if (rc == 0)
		*ret_hello = hello;
	return rc;
}
