#include "config.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/panic.h"
#include "common/text.h"
#include "common/version.h"
#include "config_impl.h"
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

/* Values beyond those of the short options. */
enum { OPTION_NAME = 256, OPTION_DATA_DIR, OPTION_LISTEN, OPTION_SET };
enum { OPTION_VERSION = OPTION_SET + 1, OPTION_HELP, OPTION_RECOVER };
enum { OPTION_FORCE = OPTION_RECOVER + 1, OPTION_SEEN, OPTION_ACCEPT_LOSS };

static const struct option long_options[] = {
	{ "name", required_argument, NULL, OPTION_NAME },
	{ "data-dir", required_argument, NULL, OPTION_DATA_DIR },
	{ "listen", required_argument, NULL, OPTION_LISTEN },
	{ "set", required_argument, NULL, OPTION_SET },
	{ "recover", no_argument, NULL, OPTION_RECOVER },
	{ "force-new-cluster", no_argument, NULL, OPTION_FORCE },
	{ "seen", required_argument, NULL, OPTION_SEEN },
	{ "accept-loss", no_argument, NULL, OPTION_ACCEPT_LOSS },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ NULL, 0, NULL, 0 },
};

static const char usage[] =
    "Usage: luminousd [OPTION]...\n"
    "Replicated key-value server; runs in the foreground, logs to stderr.\n"
    "\n"
    "  -c FILE          configuration file\n"
    "                   (default: " CONFIG_FILE ", if there)\n"
    "  -t               check the configuration and exit\n"
    "  -T               list what is in effect and its origin, and exit\n"
    "  --name NAME      as node.name\n"
    "  --data-dir DIR   as node.data-dir\n"
    "  --listen IP:PORT as node.listen\n"
    "  --set SECTION.OPTION=VALUE\n"
    "                   any option of the file; may be repeated\n"
    "  --version        print the version and exit\n"
    "  --help           print this and exit\n"
    "\n"
    "When a majority of the members is lost for good, with this one stopped:\n"
    "  --recover        say what the data directory holds, and what to do\n"
    "  --recover --force-new-cluster\n"
    "                   make it the only voter of a new cluster, to which\n"
    "                   others are added; for every other voter it needs\n"
    "    --seen NAME=TERM:INDEX\n"
    "                   the last log entry that --recover says there, or\n"
    "    --accept-loss  once, for all whose disks are lost\n"
    "\n"
    "Exit status: 0 after SIGTERM or SIGINT, 78 for a wrong configuration or\n"
    "data directory, 75 for a disk that is full, 70 for a disk or data that\n"
    "cannot be trusted, 1 for what else keeps it from running.\n"
    "\n"
    "Options of the configuration file, by section, with their defaults:\n";

/* One of --name, --data-dir, --listen, --set; the arguments are argv's. */
struct override {
	const char *name; /* of section [node]; NULL: an assignment */
	const char *value;
};

struct command_line {
	const char *file; /* NULL: the usual one, if it exists */
	bool recover;
	struct config_recover recovery;
	const char **seen; /* as given */
	size_t seen_count;
	bool test;
	bool list;
	bool version;
	bool help;
	struct override *overrides;
	size_t overrides_count;
};

static void
add_override(struct command_line *line, const char *name, const char *value)
{
	line->overrides[line->overrides_count++] =
	    (struct override){ .name = name, .value = value };
}

/* False for what getopt reports as wrong. */
static bool
take_option(struct command_line *line, int option)
{
	switch (option) {
	case 'c': line->file = optarg; return true;
	case 't': line->test = true; return true;
	case 'T': line->list = true; return true;
	case OPTION_NAME: add_override(line, "name", optarg); return true;
	case OPTION_DATA_DIR:
		add_override(line, "data-dir", optarg);
		return true;
	case OPTION_LISTEN: add_override(line, "listen", optarg); return true;
	case OPTION_SET: add_override(line, NULL, optarg); return true;
	case OPTION_RECOVER: line->recover = true; return true;
	case OPTION_FORCE: line->recovery.force = true; return true;
	case OPTION_ACCEPT_LOSS: line->recovery.accept_loss = true; return true;
	case OPTION_SEEN: line->seen[line->seen_count++] = optarg; return true;
	case OPTION_VERSION: line->version = true; return true;
	case OPTION_HELP: line->help = true; return true;
	default: return false;
	}
}

/* Neither is of use alone, and nobody shall think that it was. */
static int
check_recovery(struct command_line *line, struct buf *complaint)
{
	struct config_recover *recovery = &line->recovery;
	const char *alone = recovery->force         ? "--force-new-cluster"
			    : recovery->accept_loss ? "--accept-loss"
			    : line->seen_count > 0  ? "--seen"
						    : NULL;

	if (alone != NULL && !(line->recover && recovery->force)) {
		buf_printf(complaint,
		    "luminousd: %s needs %s; see luminousd --help\n", alone,
		    line->recover ? "--force-new-cluster" : "--recover");
		return ERR_INVALID;
	}
	for (size_t i = 0; i < line->seen_count; i++) {
		if (config_add_seen(recovery, line->seen[i]) == 0)
			continue;
		buf_printf(complaint,
		    "luminousd: --seen wants NAME=TERM:INDEX, as --recover "
		    "prints it on that member, not \"%s\"\n",
		    line->seen[i]);
		return ERR_INVALID;
	}
	recovery->file = line->file;
	return 0;
}

static int
parse_command_line(
    int argc, char **argv, struct command_line *line, struct buf *complaint)
{
	int option;

	opterr = 0; /* the messages are written here */
	optind = 0; /* begin anew: this is not the first call in a test */
	while ((option = getopt_long(
		    argc, argv, ":c:tT", long_options, NULL)) != -1) {
		if (take_option(line, option))
			continue;
		buf_printf(complaint,
		    option == ':'
			? "luminousd: %s needs a value; see luminousd --help\n"
			: "luminousd: unknown option %s; see luminousd "
			  "--help\n",
		    argv[optind - 1]);
		return ERR_INVALID;
	}
	if (optind < argc) {
		buf_printf(complaint,
		    "luminousd: unexpected argument \"%s\"; see luminousd "
		    "--help\n",
		    argv[optind]);
		return ERR_INVALID;
	}
	return check_recovery(line, complaint);
}

static void
append_help(struct buf *to)
{
	buf_append_text(to, usage);
	for (size_t i = 0; i < config_options_count; i++) {
		const struct conf_option *option = &config_options[i];

		if (i == 0 ||
		    strcmp(option->section, config_options[i - 1].section) != 0)
			buf_printf(to, "[%s]\n", option->section);
		if (option->name == NULL) {
			buf_printf(to, "  %s\n", option->help);
			continue;
		}
		buf_printf(to, "  %-19s %-17s %s\n", option->name,
		    option->initial[0] == '\0' ? "-" : option->initial,
		    option->help);
	}
}

/* NULL: there is none to read. What cannot be looked at does exist. */
static const char *
choose_file(const struct command_line *line)
{
	if (line->file != NULL)
		return line->file;
	if (access(CONFIG_FILE, F_OK) != 0 && errno == ENOENT)
		return NULL;
	return CONFIG_FILE;
}

static void
load(struct conf *conf, const struct command_line *line, const char *file)
{
	if (file != NULL)
		conf_load(conf, file);
	for (size_t i = 0; i < line->overrides_count; i++) {
		const struct override *override = &line->overrides[i];

		if (override->name == NULL)
			conf_set_assignment(conf, override->value);
		else
			conf_set(conf, "node", override->name, override->value);
	}
}

static void
append_errors(const struct conf *conf, bool starting, struct buf *to)
{
	unsigned count = conf_errors_count(conf);

	buf_append_slice(to, conf_errors(conf));
	buf_printf(to, "%u error%s", count, count == 1 ? "" : "s");
	if (count > CONF_ERRORS_SHOWN_MAX)
		buf_printf(to, ", the first %d shown", CONF_ERRORS_SHOWN_MAX);
	buf_append_text(to, starting ? "; luminousd not started\n" : "\n");
}

static void
append_summary(const struct conf *conf, const struct config *config,
    const char *file, struct buf *to)
{
	size_t options = conf_file_count(conf);

	buf_printf(to, "%s: ok (%zu option%s, %zu member%s, this is %s)\n",
	    file == NULL ? "defaults" : file, options, options == 1 ? "" : "s",
	    config->members_count, config->members_count == 1 ? "" : "s",
	    config->node_name);
}

static enum config_outcome
load_and_check(const struct command_line *line, const struct config_host *host,
    struct config *ret_config, struct buf *output)
{
	struct config config = { 0 };
	struct conf *conf =
	    conf_new(config_options, config_options_count, &config);
	const char *file = choose_file(line);
	enum config_outcome outcome = CONFIG_RUN;

	load(conf, line, file);
	config_check(conf, host, &config);
	if (line->test && conf_errors_count(conf) == 0)
		config_check_here(conf, host, &config);
	if (conf_errors_count(conf) > 0) {
		append_errors(conf, !line->test && !line->list, output);
		outcome = CONFIG_REFUSED;
	} else if (line->list) {
		conf_print(conf, output);
		outcome = CONFIG_DONE;
	} else if (line->test) {
		append_summary(conf, &config, file, output);
		outcome = CONFIG_DONE;
	}
	conf_free(conf);
	if (outcome == CONFIG_RUN && line->recover) {
		config.recover = line->recovery;
		outcome = CONFIG_RECOVER;
	}
	if (outcome == CONFIG_RUN || outcome == CONFIG_RECOVER)
		*ret_config = config;
	else
		config_release(&config);
	return outcome;
}

enum config_outcome
config_load(int argc, char **argv, const struct config_host *host,
    struct config *ret_config, struct buf *output)
{
	struct command_line line = { 0 };
	enum config_outcome outcome = CONFIG_DONE;

	line.overrides = mem_zalloc((size_t)argc, sizeof(*line.overrides));
	line.seen = mem_zalloc((size_t)argc, sizeof(*line.seen));
	if (parse_command_line(argc, argv, &line, output) != 0)
		outcome = CONFIG_REFUSED;
	else if (line.help)
		append_help(output);
	else if (line.version)
		buf_printf(output, "luminousd %s\n", version_text());
	else
		outcome = load_and_check(&line, host, ret_config, output);
	free(line.overrides);
	free(line.seen);
	return outcome;
}

void
config_release(struct config *config)
{
	for (size_t i = 0; i < config->members_count; i++) {
		free(config->members[i].name);
		free(config->members[i].address);
	}
	free(config->address);
	free(config->join_address);
	conf_release_values(config_options, config_options_count, config);
	explicit_bzero(config->secret, sizeof(config->secret));
	*config = (struct config){ 0 };
}
