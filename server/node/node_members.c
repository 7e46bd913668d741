#include "node/node_members.h"

#include "common/panic.h"

static void
read_text(struct codec_reader *reader, char *to, size_t size_max)
{
	struct slice text = codec_read_bytes(reader);

	if (text.size == 0 || text.size > size_max ||
	    memchr(text.data, 0, text.size) != NULL) {
		reader->failed = true;
		return;
	}
	memcpy(to, text.data, text.size);
	to[text.size] = '\0';
}

void
node_members_append(struct buf *to, const struct node_members *members)
{
	codec_append_u8(to, (uint8_t)members->count);
	for (unsigned i = 0; i < members->count; i++) {
		const struct node_member *member = &members->member[i];

		codec_append_u64(to, member->id);
		codec_append_bytes(to, slice_from_text(member->name));
		codec_append_bytes(to, slice_from_text(member->address));
	}
}

void
node_members_read(struct codec_reader *reader, struct node_members *ret_members)
{
	unsigned count = codec_read_u8(reader);

	if (count == 0 || count > NODE_MEMBERS_MAX) {
		reader->failed = true;
		return;
	}
	*ret_members = (struct node_members){ .count = count };
	for (unsigned i = 0; i < count && !reader->failed; i++) {
		struct node_member *member = &ret_members->member[i];

		member->id = codec_read_u64(reader);
		read_text(reader, member->name, NODE_NAME_SIZE_MAX);
		read_text(reader, member->address, NODE_ADDRESS_SIZE_MAX);
		if (member->id == 0 ||
		    (i > 0 && member->id <= ret_members->member[i - 1].id))
			reader->failed = true;
	}
}

bool
node_members_equal(const struct node_members *a, const struct node_members *b)
{
	if (a->count != b->count)
		return false;
	for (unsigned i = 0; i < a->count; i++) {
		if (a->member[i].id != b->member[i].id ||
		    strcmp(a->member[i].name, b->member[i].name) != 0 ||
		    strcmp(a->member[i].address, b->member[i].address) != 0)
			return false;
	}
	return true;
}

const struct node_member *
node_members_find(const struct node_members *members, raft_id id)
{
	for (unsigned i = 0; i < members->count; i++) {
		if (members->member[i].id == id)
			return &members->member[i];
	}
	return NULL;
}

const struct node_member *
node_members_find_name(const struct node_members *members, const char *name)
{
	for (unsigned i = 0; i < members->count; i++) {
		if (strcmp(members->member[i].name, name) == 0)
			return &members->member[i];
	}
	return NULL;
}

void
node_members_to_raft(
    const struct node_members *members, struct raft_members *ret_members)
{
	*ret_members = (struct raft_members){ .count = members->count };
	for (unsigned i = 0; i < members->count; i++) {
		ret_members->member[i] = (struct raft_member){
			.id = members->member[i].id,
			.role_old = RAFT_MEMBER_VOTER,
			.role_new = RAFT_MEMBER_VOTER,
		};
	}
}

enum { MEMBERSHIP_VERSION = 1 };

void
node_membership_encode(struct buf *to,
    const uint8_t cluster_id[NODE_NONCE_SIZE],
    const struct node_members *members, const struct raft_members *roles)
{
	uint8_t role[NODE_MEMBERS_MAX]; /* old half in the high four bits */

	ASSERT(members->count == roles->count);
	codec_append_u8(to, MEMBERSHIP_VERSION);
	buf_append(to, cluster_id, NODE_NONCE_SIZE);
	codec_append_u8(to, roles->joint ? 1 : 0);
	for (unsigned i = 0; i < roles->count; i++) {
		const struct raft_member *member = &roles->member[i];

		ASSERT(members->member[i].id == member->id);
		role[i] = (uint8_t)(member->role_old << 4 | member->role_new);
	}
	codec_append_bytes(to, slice_of(role, roles->count));
	node_members_append(to, members);
}

static int
read_roles(struct slice bytes, const struct node_members *members,
    struct raft_members *roles)
{
	roles->count = members->count;
	for (unsigned i = 0; i < members->count; i++) {
		unsigned role_old = bytes.data[i] >> 4;
		unsigned role_new = bytes.data[i] & 0xf;

		if (role_old > RAFT_MEMBER_VOTER ||
		    role_new > RAFT_MEMBER_VOTER)
			return ERR_VERSION;
		roles->member[i] = (struct raft_member){
			.id = members->member[i].id,
			.role_old = role_old,
			.role_new = role_new,
		};
	}
	return 0;
}

int
node_membership_decode(struct slice payload,
    uint8_t ret_cluster_id[NODE_NONCE_SIZE], struct node_members *ret_members,
    struct raft_members *ret_roles)
{
	struct codec_reader reader;
	struct slice cluster_id;
	struct slice role_bytes;
	struct raft_members roles = { .index = 0 };
	uint8_t joint;
	int error;

	codec_reader_init(&reader, payload);
	if (codec_read_u8(&reader) != MEMBERSHIP_VERSION)
		return reader.failed ? ERR_CORRUPT : ERR_VERSION;
	cluster_id = codec_read_raw(&reader, NODE_NONCE_SIZE);
	joint = codec_read_u8(&reader);
	role_bytes = codec_read_bytes(&reader);
	node_members_read(&reader, ret_members);
	if (!codec_reader_done(&reader) || joint > 1 ||
	    role_bytes.size != ret_members->count)
		return ERR_CORRUPT;
	error = read_roles(role_bytes, ret_members, &roles);
	if (error != 0)
		return error;
	roles.joint = joint == 1;
	*ret_roles = roles;
	memcpy(ret_cluster_id, cluster_id.data, NODE_NONCE_SIZE);
	return 0;
}
