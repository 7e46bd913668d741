/*
 * Command line and configuration file. The input is arguments, one a line, up
 * to an empty line, and the file behind it; "@" in an argument is the file's
 * name. Whatever they are, the outcome comes with what it says, and what is
 * listed as in effect (-T) is itself a configuration that is listed so.
 */

#include "common/macros.h"
#include "common/mem.h"
#include "common/panic.h"
#include "config.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/temp_dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ARGUMENTS_MAX 12

static char *directory;
static char path[200];

static void
forget_directory(void)
{
	temp_dir_remove(directory);
}

static void
write_file(const char *name, struct slice content)
{
	char file_path[200];
	FILE *file;

	snprintf(file_path, sizeof(file_path), "%s/%s", directory, name);
	file = fopen(file_path, "w");
	ASSERT(file != NULL);
	ASSERT(fwrite(content.data, 1, content.size, file) == content.size);
	fclose(file);
}

static void
set_up(void)
{
	if (directory != NULL)
		return;
	directory = temp_dir_make();
	(void)atexit(forget_directory);
	snprintf(path, sizeof(path), "%s/x.conf", directory);
	write_file("secret", slice_from_text("0123456789abcdef\n"));
}

/* argv ends with NULL, and its strings are the caller's to free. */
static int
take_arguments(struct slice *input, char **argv)
{
	int argc = 1;

	argv[0] = strdup("luminousd");
	while (argc < ARGUMENTS_MAX) {
		const uint8_t *end = memchr(input->data, '\n', input->size);
		struct slice line = fuzz_take(
		    input, end == NULL ? input->size
				       : (size_t)(end - input->data) + 1);

		if (line.size > 0 && line.data[line.size - 1] == '\n')
			line.size--;
		if (line.size == 0)
			break;
		argv[argc++] =
		    slice_equal(line, slice_from_text("@"))
			? strdup(path)
			: strndup((const char *)line.data, line.size);
	}
	argv[argc] = NULL;
	return argc;
}

static enum config_outcome
load(int argc, char **argv, struct buf *output)
{
	static const struct config_host host = { .name = "db7" };
	struct config config = { 0 };
	enum config_outcome outcome =
	    config_load(argc, argv, &host, &config, output);

	switch (outcome) {
	case CONFIG_RUN:
	case CONFIG_RECOVER:
		ASSERT(config.members_count <= CONFIG_MEMBERS_MAX);
		ASSERT(config.listen != NULL);
		ASSERT(config.data_dir[0] == '/');
		ASSERT(config.heartbeat_interval_us <=
		       config.election_timeout_us / 3);
		config_release(&config);
		break;
	case CONFIG_DONE:
	case CONFIG_REFUSED:
		ASSERT(output->size > 0);
		ASSERT(output->data[output->size - 1] == '\n');
		break;
	}
	return outcome;
}

/* The values of a listing; where each comes from differs. */
static void
drop_origins(struct buf *listing)
{
	size_t to = 0;
	bool origin = false;

	for (size_t i = 0; i < listing->size; i++) {
		if (listing->data[i] == '#')
			origin = true;
		if (listing->data[i] == '\n')
			origin = false;
		if (!origin && listing->data[i] != ' ')
			listing->data[to++] = listing->data[i];
	}
	listing->size = to;
}

static void
check_listing(struct slice text)
{
	char *argv[] = { strdup("luminousd"), strdup("-c"), strdup(path),
		strdup("-T"), NULL };
	struct buf once = { 0 };
	struct buf twice = { 0 };

	write_file("x.conf", text);
	if (load(4, argv, &once) == CONFIG_DONE) {
		write_file("x.conf", buf_slice(&once));
		ASSERT(load(4, argv, &twice) == CONFIG_DONE);
		drop_origins(&once);
		drop_origins(&twice);
		ASSERT(slice_equal(buf_slice(&once), buf_slice(&twice)));
	}
	for (int i = 0; i < 4; i++)
		free(argv[i]);
	buf_release(&once);
	buf_release(&twice);
}

void
fuzz_config(struct slice input)
{
	char *argv[ARGUMENTS_MAX + 1];
	struct buf output = { 0 };
	int argc;

	set_up();
	argc = take_arguments(&input, argv);
	write_file("x.conf", input);
	(void)load(argc, argv, &output);
	buf_release(&output);
	for (int i = 0; i < argc; i++)
		free(argv[i]);
	check_listing(input);
}
