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
		buf_append(to, member->directory, NODE_NONCE_SIZE);
	}
}

/* Those before have lower ids, other names and other addresses. */
static bool
is_new(const struct node_members *members, unsigned position)
{
	const struct node_member *member = &members->member[position];

	for (unsigned i = 0; i < position; i++) {
		const struct node_member *other = &members->member[i];

		if (other->id >= member->id ||
		    strcmp(other->name, member->name) == 0 ||
		    strcmp(other->address, member->address) == 0)
			return false;
	}
	return member->id != 0;
}

static void
read_directory(struct codec_reader *reader, uint8_t *directory)
{
	struct slice bytes = codec_read_raw(reader, NODE_NONCE_SIZE);

	if (!reader->failed)
		memcpy(directory, bytes.data, NODE_NONCE_SIZE);
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
		read_directory(reader, member->directory);
		if (!is_new(ret_members, i))
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
node_members_add(struct node_members *members, const struct node_member *member)
{
	ASSERT(members->count < NODE_MEMBERS_MAX);
	members->member[members->count++] = *member;
}

void
node_members_drop(struct node_members *members, raft_id id)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < members->count; i++) {
		if (members->member[i].id != id)
			members->member[kept++] = members->member[i];
	}
	members->count = kept;
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

enum { MEMBERSHIP_VERSION = 2 };

void
node_membership_encode(struct buf *to,
    const uint8_t cluster_id[NODE_NONCE_SIZE],
    const struct node_members *members, const struct raft_members *roles)
{
	ASSERT(members->count == roles->count);
	codec_append_u8(to, MEMBERSHIP_VERSION);
	buf_append(to, cluster_id, NODE_NONCE_SIZE);
	codec_append_u8(to, roles->joint ? 1 : 0);
	node_members_append(to, members);
	for (unsigned i = 0; i < roles->count; i++) {
		const struct raft_member *member = &roles->member[i];

		ASSERT(members->member[i].id == member->id);
		codec_append_u8(to, (uint8_t)member->role_old);
		codec_append_u8(to, (uint8_t)member->role_new);
		codec_append_u64(to, member->replaces);
	}
}

static int
read_role(struct codec_reader *reader, enum raft_member_role *ret_role)
{
	uint8_t role = codec_read_u8(reader);

	if (role > RAFT_MEMBER_JOINING)
		return ERR_VERSION;
	*ret_role = (enum raft_member_role)role;
	return 0;
}

static int
read_roles(struct codec_reader *reader, const struct node_members *members,
    struct raft_members *roles)
{
	int error = 0;

	roles->count = members->count;
	for (unsigned i = 0; error == 0 && i < members->count; i++) {
		struct raft_member *member = &roles->member[i];

		member->id = members->member[i].id;
		error = read_role(reader, &member->role_old);
		if (error == 0)
			error = read_role(reader, &member->role_new);
		member->replaces = codec_read_u64(reader);
	}
	return error;
}

int
node_membership_decode(struct slice payload,
    uint8_t ret_cluster_id[NODE_NONCE_SIZE], struct node_members *ret_members,
    struct raft_members *ret_roles)
{
	struct node_members members = { .count = 0 };
	struct raft_members roles = { .index = 0 };
	struct codec_reader reader;
	struct slice cluster_id;
	uint8_t joint;
	int error;

	codec_reader_init(&reader, payload);
	if (codec_read_u8(&reader) != MEMBERSHIP_VERSION)
		return reader.failed ? ERR_CORRUPT : ERR_VERSION;
	cluster_id = codec_read_raw(&reader, NODE_NONCE_SIZE);
	joint = codec_read_u8(&reader);
	node_members_read(&reader, &members);
	if (reader.failed || joint > 1)
		return ERR_CORRUPT;
	error = read_roles(&reader, &members, &roles);
	if (error != 0)
		return error;
	if (!codec_reader_done(&reader))
		return ERR_CORRUPT;
	roles.joint = joint == 1;
	*ret_members = members;
	*ret_roles = roles;
	memcpy(ret_cluster_id, cluster_id.data, NODE_NONCE_SIZE);
	return 0;
}
