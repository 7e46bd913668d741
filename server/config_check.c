#include "common/conf_address.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/panic.h"
#include "common/text.h"
#include "config_impl.h"

#define LISTEN_DEFAULT "127.0.0.1:5864"
/* Of this machine's addresses, what a message names. */
#define ADDRESSES_SHOWN_MAX 3

/* For addresses that conf has checked. */
static struct address
parse_known(const char *text)
{
	struct address address;
	struct buf complaint = { 0 };
	int rc = conf_address_parse(text, &address, &complaint);

	ASSERT(rc == 0);
	return address;
}

static void
check_relations(struct conf *conf, struct config *config)
{
	conf_require_at_most(
	    conf, "raft", "heartbeat-interval", 3, "election-timeout");
	conf_require_at_most(
	    conf, "http", "max-target-bytes", 1, "max-head-bytes");
	conf_require_at_most(conf, "http", "max-value", 1, "max-output");
	if (config->map_bytes != 0)
		conf_require_at_most(conf, "storage", "quota", 1, "map-size");
}

/* History is beside what the quota counts, in the same file. */
static void
check_history(struct conf *conf, const struct config *config)
{
	uint64_t history = config->history_bytes_max;
	struct buf size = { 0 };
	struct buf room = { 0 };

	if (config->map_bytes < config->quota_bytes ||
	    history <= config->map_bytes - config->quota_bytes ||
	    !conf_is_sound(conf, "storage", "quota") ||
	    !conf_is_sound(conf, "storage", "map-size") ||
	    !conf_is_sound(conf, "history", "max-size"))
		return;
	text_append_size(&size, history);
	text_append_size(&room, config->map_bytes - config->quota_bytes);
	buf_append(&size, "", 1);
	buf_append(&room, "", 1);
	conf_error(conf, "history", "max-size",
	    "%s is more than storage.map-size has beside storage.quota (%s)",
	    (const char *)size.data, (const char *)room.data);
	buf_release(&size);
	buf_release(&room);
}

static void
derive_map_size(struct conf *conf, const struct config *config)
{
	struct buf text = { 0 };

	if (config->map_bytes != 0 ||
	    !conf_is_sound(conf, "storage", "map-size"))
		return;
	/* Pages may be half full, and small keys take many times their size:
	 * the daemon refuses puts by pages, too, and needs room for that. */
	text_append_size(
	    &text, 4 * (config->quota_bytes + config->history_bytes_max +
			   config->memtable_bytes) +
		       (1ull << 30));
	buf_append(&text, "", 1);
	conf_derive(conf, "storage", "map-size", (const char *)text.data,
	    "4 x (storage.quota + history.max-size + "
	    "storage.memtable-size) + 1GiB");
	buf_release(&text);
}

/* Every member has an address of its own, and one that leads to it. */
static void
check_member(struct conf *conf, size_t position)
{
	struct conf_entry entry = conf_get_entry(conf, position);
	struct address address = parse_known(entry.address);

	if (address_is_wildcard(&address))
		conf_error(conf, "members", entry.name,
		    "%s leads nowhere; give the address that the other "
		    "members connect to",
		    entry.address);
	for (size_t i = 0; i < position; i++) {
		struct conf_entry other = conf_get_entry(conf, i);

		if (strcmp(other.address, entry.address) == 0)
			conf_error(conf, "members", entry.name,
			    "%s is the address of %s already", entry.address,
			    other.name);
	}
}

/* Members have their places by name, whatever the order in the file. */
static void
insert_member(struct config *config, struct conf_entry entry)
{
	size_t place = config->members_count++;

	while (place > 0 &&
	       strcmp(config->members[place - 1].name, entry.name) > 0) {
		config->members[place] = config->members[place - 1];
		place--;
	}
	config->members[place] = (struct config_member){
		.name = mem_strdup(entry.name),
		.address = mem_strdup(entry.address),
	};
}

static void
take_members(struct conf *conf, struct config *config)
{
	size_t count = conf_entries_count(conf);

	for (size_t i = 0; i < count; i++)
		check_member(conf, i);
	if (count > CONFIG_MEMBERS_MAX) {
		conf_error(conf, "members", NULL,
		    "%zu members; a cluster has at most %d", count,
		    CONFIG_MEMBERS_MAX);
		return;
	}
	for (size_t i = 0; i < count; i++)
		insert_member(config, conf_get_entry(conf, i));
}

/* The host's name, with what no member's name may hold replaced. */
static void
derive_name(struct conf *conf, const struct config_host *host)
{
	char name[33];
	size_t size = MIN(strlen(host->name), sizeof(name) - 1);

	for (size_t i = 0; i < size; i++) {
		char byte = host->name[i];
		bool fits = (byte >= 'a' && byte <= 'z') ||
			    (byte >= '0' && byte <= '9');

		name[i] = fits ? byte : '-';
	}
	name[size] = '\0';
	conf_derive(
	    conf, "node", "name", size > 0 ? name : "node", "host name");
}

/* Without [members] this is a cluster of one. */
static void
found_alone(
    struct conf *conf, const struct config_host *host, struct config *config)
{
	if (!conf_is_sound(conf, "node", "listen"))
		return;
	if (config->listen == NULL)
		conf_derive(conf, "node", "listen", LISTEN_DEFAULT, "default");
	if (config->node_name == NULL)
		derive_name(conf, host);
	conf_derive(
	    conf, "members", config->node_name, config->listen, "node.listen");
	insert_member(config, conf_get_entry(conf, 0));
	config->address = mem_strdup(config->members[0].address);
}

static bool
is_local(const struct config_host *host, const char *text)
{
	struct address address = parse_known(text);

	if (address_is_loopback(&address))
		return true;
	for (size_t i = 0; i < host->addresses_count; i++) {
		if (address_same_host(&host->addresses[i], &address))
			return true;
	}
	return false;
}

/* "db7, 10.0.0.9" */
static void
append_host(struct buf *to, const struct config_host *host)
{
	size_t shown = 0;
	char text[ADDRESS_HOST_SIZE];

	buf_append_text(to, host->name);
	for (size_t i = 0; i < host->addresses_count; i++) {
		const struct address *address = &host->addresses[i];

		if (address_is_loopback(address) ||
		    shown == ADDRESSES_SHOWN_MAX)
			continue;
		buf_append_text(to, ", ");
		address_format_host(address, text);
		buf_append_text(to, text);
		shown++;
	}
}

static void
append_names(struct buf *to, const struct config *config)
{
	for (size_t i = 0; i < config->members_count; i++)
		buf_printf(
		    to, "%s%s", i == 0 ? "" : ", ", config->members[i].name);
}

static void
report_no_self(struct conf *conf, const struct config_host *host,
    const struct config *config, unsigned local_count)
{
	struct buf names = { 0 };
	struct buf machine = { 0 };

	append_names(&names, config);
	append_host(&machine, host);
	buf_append(&names, "", 1);
	buf_append(&machine, "", 1);
	if (config->node_name != NULL)
		conf_error(conf, "node", "name",
		    "\"%s\" is none of the members %s", config->node_name,
		    (const char *)names.data);
	else if (local_count == 0)
		conf_error(conf, "members", NULL,
		    "this host (%s) is none of the members %s; give --name "
		    "or add it",
		    (const char *)machine.data, (const char *)names.data);
	else
		conf_error(conf, "members", NULL,
		    "%u of the members %s are addresses of this host (%s); "
		    "give --name",
		    local_count, (const char *)names.data,
		    (const char *)machine.data);
	buf_release(&names);
	buf_release(&machine);
}

/* The member of this name; members_count if there is none. */
static size_t
find_member(const struct config *config, const char *name)
{
	size_t place = 0;

	while (place < config->members_count &&
	       strcmp(config->members[place].name, name) != 0)
		place++;
	return place;
}

/* Which member this is: by name, host name, or the only local address. */
static void
find_self(
    struct conf *conf, const struct config_host *host, struct config *config)
{
	const char *origin = "host name";
	unsigned local_count = 0;
	size_t local = 0;
	size_t self = find_member(
	    config, config->node_name != NULL ? config->node_name : host->name);

	for (size_t i = 0; i < config->members_count; i++) {
		if (is_local(host, config->members[i].address)) {
			local = i;
			local_count++;
		}
	}
	if (self == config->members_count && config->node_name == NULL &&
	    local_count == 1) {
		self = local;
		origin = "own address";
	}
	if (self == config->members_count) {
		report_no_self(conf, host, config, local_count);
		return;
	}
	config->address = mem_strdup(config->members[self].address);
	if (config->node_name == NULL)
		conf_derive(
		    conf, "node", "name", config->members[self].name, origin);
	if (config->listen == NULL)
		conf_derive(conf, "node", "listen",
		    config->members[self].address, "own address in [members]");
}

/* `join` names a member of [members], says where one is, or just waits. */
static void
find_join(struct conf *conf, struct config *config)
{
	size_t place = find_member(config, config->join);
	struct address address;
	struct buf complaint = { 0 };

	if (strcmp(config->join, CONFIG_JOIN_WAIT) == 0)
		return;
	if (place < config->members_count) {
		config->join_address =
		    mem_strdup(config->members[place].address);
		return;
	}
	if (conf_address_parse(config->join, &address, &complaint) == 0)
		config->join_address = mem_strdup(config->join);
	else
		conf_error(conf, "node", "join",
		    "\"%s\" is none of [members], no IP:PORT of a member, and "
		    "not \"" CONFIG_JOIN_WAIT "\"",
		    config->join);
	buf_release(&complaint);
}

/*
 * A node that is added later. What [members] says of others serves to find the
 * one to join through; its own address is there, or is where it listens.
 */
static void
find_joining(
    struct conf *conf, const struct config_host *host, struct config *config)
{
	size_t self;

	find_join(conf, config);
	if (!conf_is_sound(conf, "node", "listen"))
		return;
	if (config->node_name == NULL)
		derive_name(conf, host);
	self = find_member(config, config->node_name);
	if (config->listen == NULL && self < config->members_count)
		conf_derive(conf, "node", "listen",
		    config->members[self].address, "own address in [members]");
	if (config->listen == NULL) {
		conf_error(conf, "node", "listen",
		    "a node that joins needs it: the IP:PORT where the others "
		    "reach this one");
		return;
	}
	config->address = mem_strdup(self < config->members_count
					 ? config->members[self].address
					 : config->listen);
	if (self == config->members_count) {
		struct address address = parse_known(config->listen);

		if (address_is_wildcard(&address))
			conf_error(conf, "node", "listen",
			    "%s leads nowhere; give the address that the "
			    "members connect to",
			    config->listen);
	}
}

/* There is no authentication: who reaches the port reads and writes. */
static void
check_exposure(struct conf *conf, const struct config *config)
{
	struct address address = parse_known(config->listen);
	bool given = conf_is_set(conf, "node", "listen");

	if (config->insecure || address_is_loopback(&address))
		return;
	conf_error(conf, given ? "node" : "members",
	    given ? "listen" : config->node_name,
	    "listening on %s without authentication: whoever reaches it may "
	    "read and write; set node.insecure = yes, or use a loopback "
	    "address",
	    config->listen);
}

void
config_check(
    struct conf *conf, const struct config_host *host, struct config *config)
{
	check_relations(conf, config);
	check_history(conf, config);
	derive_map_size(conf, config);
	take_members(conf, config);
	if (conf_is_sound(conf, "members", NULL) &&
	    conf_is_sound(conf, "node", "name")) {
		if (config->join != NULL)
			find_joining(conf, host, config);
		else if (config->members_count == 0)
			found_alone(conf, host, config);
		else
			find_self(conf, host, config);
	}
	if (config->listen != NULL && conf_is_sound(conf, "node", "listen") &&
	    conf_is_sound(conf, "node", "insecure"))
		check_exposure(conf, config);
	if (conf_is_sound(conf, "cluster", "secret-file"))
		config_read_secret(conf, config);
}

void
config_check_here(struct conf *conf, const struct config_host *host,
    const struct config *config)
{
	struct address address = parse_known(config->listen);
	bool given = conf_is_set(conf, "node", "listen");
	struct buf machine = { 0 };

	if (address_is_wildcard(&address) || is_local(host, config->listen))
		return;
	append_host(&machine, host);
	buf_append(&machine, "", 1);
	conf_error(conf, given ? "node" : "members",
	    given ? "listen" : config->node_name,
	    "%s is no address of this host (%s): %s cannot listen on it here",
	    config->listen, (const char *)machine.data, config->node_name);
	buf_release(&machine);
}
