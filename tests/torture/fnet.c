/*
 * A packet switch between network namespaces, which can lose, delay, double,
 * reorder and damage what passes: what netem does, where a kernel has no netem.
 *
 *	fnet SEED
 *
 * Each line of input is a command and is answered with one line, "ok ..." or
 * "error ...". FROM and TO are names of hosts, or "*" for all.
 *
 *	host NAME ADDRESS        makes one: "ok PATH" of its namespace
 *	link FROM TO [SETTING VALUE]...
 *	                         that direction, with these settings only: see
 *	                         fnet_link.h
 *	cut A B                  nothing passes, either way
 *	heal [A B]               perfect links again, either way
 *	stats FROM TO            "ok sent N blocked N ...", sums
 *
 * Ends with its input, and the namespaces with it and with those who use them.
 * Exit status: 0, or 2 for a wrong command line.
 */

#include "tests/torture/fnet_host.h"
#include "tests/torture/fnet_link.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/macros.h"
#include "common/panic.h"
#include "common/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOSTS_MAX   64
#define WORDS_MAX   32
#define COMMAND_MAX 1024
#define PACKET_MAX  65536
/* Packets taken from one host before the others have their turn. */
#define READS_MAX 32
#define SECOND_US UINT64_C(1000000)

struct fnet {
	struct rng rng;
	struct fnet_queue queue;
	struct fnet_host hosts[HOSTS_MAX];
	size_t hosts_count;
	struct fnet_link links[HOSTS_MAX][HOSTS_MAX]; /* from, to */
	char line[COMMAND_MAX];
	size_t line_size;
	uint8_t packet[PACKET_MAX];
};

/* Some hosts: `first` to before `end`. */
struct range {
	size_t first;
	size_t end;
};

static struct fnet fnet;

/* ---- Packets ---- */

static size_t
find_address(uint32_t address)
{
	size_t i = 0;

	while (i < fnet.hosts_count && fnet.hosts[i].address != address)
		i++;
	return i;
}

static void
forward(size_t from, size_t size)
{
	uint32_t source;
	uint32_t target;
	size_t to;

	if (!fnet_packet_addresses(fnet.packet, size, &source, &target))
		return;
	to = find_address(target);
	if (to == fnet.hosts_count || to == from)
		return;
	fnet_link_send(&fnet.links[from][to], &fnet.queue, &fnet.rng,
	    clock_monotonic_us(), fnet_packet_new(to, fnet.packet, size));
}

static void
read_packets(size_t from)
{
	for (int i = 0; i < READS_MAX; i++) {
		ssize_t size = read(
		    fnet.hosts[from].tun_fd, fnet.packet, sizeof(fnet.packet));

		if (size <= 0)
			return;
		forward(from, (size_t)size);
	}
}

/* One that the kernel does not take is lost, as on any network. */
static void
deliver(uint64_t now_us)
{
	struct fnet_packet *packet;

	while ((packet = fnet_queue_pop(&fnet.queue, now_us)) != NULL) {
		ssize_t taken = write(fnet.hosts[packet->target].tun_fd,
		    packet->data, packet->size);

		(void)taken;
		free(packet);
	}
}

/* ---- Commands ---- */

static bool
find_range(const char *name, struct range *ret_range)
{
	if (strcmp(name, "*") == 0) {
		*ret_range = (struct range){ 0, fnet.hosts_count };
		return true;
	}
	for (size_t i = 0; i < fnet.hosts_count; i++) {
		if (strcmp(fnet.hosts[i].name, name) != 0)
			continue;
		*ret_range = (struct range){ i, i + 1 };
		return true;
	}
	printf("error there is no host '%s'\n", name);
	return false;
}

static void
make_host(char **words, size_t count)
{
	struct fnet_host *host = &fnet.hosts[fnet.hosts_count];
	struct in_addr address;
	const char *failed;

	if (count != 2 || strlen(words[0]) >= sizeof(host->name) ||
	    inet_pton(AF_INET, words[1], &address) != 1) {
		printf("error host NAME ADDRESS\n");
		return;
	}
	if (fnet.hosts_count == HOSTS_MAX) {
		printf("error %d hosts are the most\n", HOSTS_MAX);
		return;
	}
	snprintf(host->name, sizeof(host->name), "%s", words[0]);
	host->address = ntohl(address.s_addr);
	failed = fnet_host_open(host);
	if (failed != NULL) {
		printf("error %s: %s\n", failed, strerror(errno));
		return;
	}
	fnet.hosts_count++;
	printf("ok /proc/%d/fd/%d\n", (int)getpid(), host->namespace_fd);
}

/* False, and answered, if a setting is wrong. */
static bool
parse_settings(char **words, size_t count, struct fnet_link *ret_link)
{
	for (size_t i = 0; i < count; i += 2) {
		const char *value = i + 1 < count ? words[i + 1] : "";
		int err = fnet_link_set(ret_link, words[i], value);

		if (err == 0)
			continue;
		printf("error %s '%s': %s\n", words[i], value, err_text(err));
		return false;
	}
	return true;
}

static void
set_links(struct range from, struct range to, const struct fnet_link *wanted)
{
	for (size_t i = from.first; i < from.end; i++) {
		for (size_t j = to.first; j < to.end; j++) {
			struct fnet_link *link = &fnet.links[i][j];
			struct fnet_link set = *wanted;

			memcpy(set.counts, link->counts, sizeof(set.counts));
			*link = set;
		}
	}
}

static void
set_link(char **words, size_t count)
{
	struct fnet_link wanted = { 0 };
	struct range from;
	struct range to;

	if (count < 2) {
		printf("error link FROM TO [SETTING VALUE]...\n");
		return;
	}
	if (!find_range(words[0], &from) || !find_range(words[1], &to) ||
	    !parse_settings(words + 2, count - 2, &wanted))
		return;
	set_links(from, to, &wanted);
	printf("ok\n");
}

/* Both directions; without words, all. */
static void
set_both(char **words, size_t count, const struct fnet_link *wanted)
{
	struct range from = { 0, fnet.hosts_count };
	struct range to = from;

	if (count != 0 && count != 2) {
		printf("error two hosts are needed\n");
		return;
	}
	if (count == 2 &&
	    (!find_range(words[0], &from) || !find_range(words[1], &to)))
		return;
	set_links(from, to, wanted);
	set_links(to, from, wanted);
	printf("ok\n");
}

static void
cut(char **words, size_t count)
{
	struct fnet_link blocked = { .block = 1 };

	set_both(words, count, &blocked);
}

static void
heal(char **words, size_t count)
{
	struct fnet_link perfect = { 0 };

	set_both(words, count, &perfect);
}

static void
print_stats(char **words, size_t count)
{
	uint64_t sums[FNET_COUNTS_COUNT] = { 0 };
	struct range from;
	struct range to;

	if (count != 2) {
		printf("error stats FROM TO\n");
		return;
	}
	if (!find_range(words[0], &from) || !find_range(words[1], &to))
		return;
	for (size_t i = from.first; i < from.end; i++)
		for (size_t j = to.first; j < to.end; j++)
			for (size_t k = 0; k < FNET_COUNTS_COUNT; k++)
				sums[k] += fnet.links[i][j].counts[k];
	printf("ok");
	for (size_t k = 0; k < FNET_COUNTS_COUNT; k++)
		printf(" %s %" PRIu64, fnet_count_name((enum fnet_count)k),
		    sums[k]);
	printf("\n");
}

static const struct command {
	const char *name;
	void (*run)(char **words, size_t count);
} commands[] = {
	{ "host", make_host },
	{ "link", set_link },
	{ "cut", cut },
	{ "heal", heal },
	{ "stats", print_stats },
};

static void
run_command(char *line)
{
	char *words[WORDS_MAX];
	size_t count = 0;
	char *word;

	while ((word = strsep(&line, " ")) != NULL)
		if (*word != '\0' && count < WORDS_MAX)
			words[count++] = word;
	for (size_t i = 0; count > 0 && i < ARRAY_COUNT(commands); i++) {
		if (strcmp(commands[i].name, words[0]) == 0) {
			commands[i].run(words + 1, count - 1);
			return;
		}
	}
	printf("error there is no command '%s'\n", count > 0 ? words[0] : "");
}

/* False at the end of input. */
static bool
read_commands(void)
{
	ssize_t size = read(STDIN_FILENO, fnet.line + fnet.line_size,
	    sizeof(fnet.line) - fnet.line_size);
	char *end;

	if (size <= 0)
		return false;
	fnet.line_size += (size_t)size;
	while ((end = memchr(fnet.line, '\n', fnet.line_size)) != NULL) {
		size_t used = (size_t)(end - fnet.line) + 1;

		*end = '\0';
		run_command(fnet.line);
		fnet.line_size -= used;
		memmove(fnet.line, fnet.line + used, fnet.line_size);
	}
	if (fnet.line_size == sizeof(fnet.line))
		fatal("a command has more than %d bytes", COMMAND_MAX);
	fflush(stdout);
	return true;
}

/* ---- The loop ---- */

static struct timespec
time_left(void)
{
	uint64_t now = clock_monotonic_us();
	uint64_t next = fnet_queue_next_us(&fnet.queue);
	uint64_t left = next <= now ? 0 : MIN(next - now, SECOND_US);

	return (struct timespec){ .tv_sec = (time_t)(left / SECOND_US),
		.tv_nsec = (long)(left % SECOND_US) * 1000 };
}

/* False at the end of input. */
static bool
turn(void)
{
	struct pollfd fds[1 + HOSTS_MAX] = { { STDIN_FILENO, POLLIN, 0 } };
	size_t count = fnet.hosts_count;
	struct timespec left = time_left();

	for (size_t i = 0; i < count; i++)
		fds[1 + i] = (struct pollfd){ fnet.hosts[i].tun_fd, POLLIN, 0 };
	if (ppoll(fds, 1 + count, &left, NULL) < 0 && errno != EINTR)
		fatal("ppoll: %s", strerror(errno));
	for (size_t i = 0; i < count; i++)
		if (fds[1 + i].revents != 0)
			read_packets(i);
	deliver(clock_monotonic_us());
	return fds[0].revents == 0 || read_commands();
}

int
main(int argc, char **argv)
{
	uint64_t seed;

	if (argc != 2 || text_parse_u64(slice_from_text(argv[1]), &seed) != 0) {
		fprintf(stderr, "usage: fnet SEED\n");
		return 2;
	}
	rng_init(&fnet.rng, seed);
	while (turn())
		continue;
	fnet_queue_release(&fnet.queue);
	return 0;
}
