#ifndef CONFIG_IMPL_H
#define CONFIG_IMPL_H

/* Shared by the files of config: private to them. */

#include "common/conf.h"
#include "config.h"

/* The table of all options, in config_options.c. */
extern const struct conf_option config_options[];
extern const size_t config_options_count;

/*
 * Fills in what follows from other options and from the machine (members,
 * self, listen, secret, ...), and reports to `conf` what does not fit
 * together. `config` is usable if there were no errors.
 */
void config_check(
    struct conf *conf, const struct config_host *host, struct config *config);

/*
 * Beyond what a start checks before it tries: whether this machine has the
 * address to listen on. For a `config` without errors.
 */
void config_check_here(struct conf *conf, const struct config_host *host,
    const struct config *config);

/* Reads config->secret_file, if there is one; needed with several members. */
void config_read_secret(struct conf *conf, struct config *config);

/* Adds "NAME=TERM:INDEX". ERR_INVALID: it is not so, or there are too many. */
int config_add_seen(
    struct config_recover *recovery, const char *text) ATTR_MUST_CHECK;

#endif
