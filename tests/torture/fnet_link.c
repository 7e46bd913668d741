#include "tests/torture/fnet_link.h"

#include "common/err.h"
#include "common/macros.h"
#include "common/text.h"

#include <stdlib.h>
#include <string.h>

#define SECOND_US UINT64_C(1000000)

static int parse_chance(struct slice text, uint64_t *ret_value) ATTR_MUST_CHECK;

static const struct setting {
	const char *name;
	size_t offset;
	int (*parse)(struct slice text, uint64_t *ret_value);
} settings[] = {
#define SETTING(name, member, parse)                                           \
	{                                                                      \
		name, offsetof(struct fnet_link, member), parse                \
	}
	SETTING("delay", delay_us, text_parse_duration),
	SETTING("jitter", jitter_us, text_parse_duration),
	SETTING("loss", loss, parse_chance),
	SETTING("duplicate", duplicate, parse_chance),
	SETTING("reorder", reorder, parse_chance),
	SETTING("corrupt", corrupt, parse_chance),
	SETTING("mangle", mangle, parse_chance),
	SETTING("rate", rate, text_parse_size),
	SETTING("queue", queue, text_parse_size),
	SETTING("block", block, text_parse_u64),
#undef SETTING
};

static int
parse_chance(struct slice text, uint64_t *ret_value)
{
	int err = text_parse_u64(text, ret_value);

	if (err != 0)
		return err;
	return *ret_value > FNET_CHANCE_MAX ? ERR_TOO_LARGE : 0;
}

int
fnet_link_set(struct fnet_link *link, const char *name, const char *value)
{
	for (size_t i = 0; i < ARRAY_COUNT(settings); i++) {
		if (strcmp(settings[i].name, name) != 0)
			continue;
		return settings[i].parse(slice_from_text(value),
		    (uint64_t *)(void *)((char *)link + settings[i].offset));
	}
	return ERR_NOT_FOUND;
}

/* Rolls the dice; what happens is counted. */
static bool
happens(struct fnet_link *link, struct rng *rng, uint64_t chance,
    enum fnet_count count)
{
	if (chance == 0 || rng_below(rng, FNET_CHANCE_MAX) >= chance)
		return false;
	link->counts[count]++;
	return true;
}

/* False: too much waits already. */
static bool
pass_slowly(struct fnet_link *link, uint64_t now_us, size_t size)
{
	uint64_t begin = MAX(now_us, link->free_at_us);
	uint64_t limit = link->queue != 0 ? link->queue : FNET_QUEUE;

	if ((begin - now_us) * link->rate / SECOND_US + size > limit) {
		link->counts[FNET_COUNT_OVERFLOWED]++;
		return false;
	}
	link->free_at_us = begin + size * SECOND_US / link->rate;
	return true;
}

static uint64_t
choose_arrival(struct fnet_link *link, struct rng *rng, uint64_t now_us)
{
	uint64_t at = MAX(now_us, link->free_at_us) + link->delay_us;

	if (link->jitter_us != 0)
		at += rng_below(rng, link->jitter_us);
	if (happens(link, rng, link->reorder, FNET_COUNT_REORDERED))
		return at + rng_between(rng, 1, FNET_REORDER_US);
	link->last_at_us = MAX(at, link->last_at_us);
	return link->last_at_us;
}

static void
damage(struct fnet_link *link, struct rng *rng, struct fnet_packet *packet)
{
	if (happens(link, rng, link->corrupt, FNET_COUNT_CORRUPTED) &&
	    !fnet_packet_corrupt(packet, rng))
		link->counts[FNET_COUNT_CORRUPTED]--;
	if (happens(link, rng, link->mangle, FNET_COUNT_MANGLED) &&
	    !fnet_packet_mangle(packet, rng))
		link->counts[FNET_COUNT_MANGLED]--;
}

static bool
is_dropped(struct fnet_link *link, struct rng *rng, uint64_t now_us,
    const struct fnet_packet *packet)
{
	if (link->block != 0) {
		link->counts[FNET_COUNT_BLOCKED]++;
		return true;
	}
	if (happens(link, rng, link->loss, FNET_COUNT_LOST))
		return true;
	return link->rate != 0 && !pass_slowly(link, now_us, packet->size);
}

void
fnet_link_send(struct fnet_link *link, struct fnet_queue *queue,
    struct rng *rng, uint64_t now_us, struct fnet_packet *packet)
{
	if (is_dropped(link, rng, now_us, packet)) {
		free(packet);
		return;
	}
	if (happens(link, rng, link->duplicate, FNET_COUNT_DUPLICATED)) {
		link->counts[FNET_COUNT_SENT]++;
		fnet_queue_push(queue, choose_arrival(link, rng, now_us),
		    fnet_packet_new(
			packet->target, packet->data, packet->size));
	}
	damage(link, rng, packet);
	link->counts[FNET_COUNT_SENT]++;
	fnet_queue_push(queue, choose_arrival(link, rng, now_us), packet);
}

const char *
fnet_count_name(enum fnet_count count)
{
	static const char *const names[] = {
		[FNET_COUNT_SENT] = "sent",
		[FNET_COUNT_BLOCKED] = "blocked",
		[FNET_COUNT_LOST] = "lost",
		[FNET_COUNT_OVERFLOWED] = "overflowed",
		[FNET_COUNT_DUPLICATED] = "duplicated",
		[FNET_COUNT_REORDERED] = "reordered",
		[FNET_COUNT_CORRUPTED] = "corrupted",
		[FNET_COUNT_MANGLED] = "mangled",
	};

	return names[count];
}
