/* The disks of a node that are files, held against those in memory. */

#include "common/panic.h"
#include "tests/sim/sim_media.h"
#include "tests/sim/sim_node.h"
#include <inttypes.h>
#include <stdio.h>

static struct rng *
rng_of(const struct sim_disks *disks)
{
	return &disks->sim->rng[SIM_RNG_FILES];
}

/* ---- Opening ---- */

/*
 * A commit that failed has happened or not, as a whole; all others have, and
 * nothing else.
 */
static void
check_contents(struct sim_disks *disks, struct store *real,
    struct store_mem_disk *disk, struct store_twin_notes *notes,
    unsigned tables_count, const char *name)
{
	char what[128] = "";
	char what_else[128] = "";

	disks->sim->counters.stores_opened++;
	disks->sim->counters.commits_in_doubt += notes->in_doubt != NULL;
	if (store_twin_compare(real, disk, tables_count, what, sizeof(what))) {
		store_twin_release(notes);
		return;
	}
	if (notes->in_doubt != NULL &&
	    store_twin_compare(real, notes->in_doubt, tables_count, what_else,
		sizeof(what_else))) {
		disks->sim->counters.commits_in_doubt_kept++;
		store_mem_take_back(disk, notes->in_doubt);
		store_twin_release(notes);
		return;
	}
	sim_fail(disks->sim, "the %s has not what was committed: %s%s%s", name,
	    what, what_else[0] == '\0' ? "" : "; nor with the last commit: ",
	    what_else);
}

int
sim_disks_open_log_files(
    struct sim_disks *disks, struct store **ret_store, char *why, size_t size)
{
	struct store *real;
	int error = sim_media.files->open_log(disks->files, &real, why, size);

	if (error != 0) {
		disks->sim->counters.opens_failed++;
		return error;
	}
	check_contents(disks, real, disks->log, &disks->log_notes,
	    NODE_LOG_TABLES_COUNT, "log");
	*ret_store = store_twin_open(real, disks->log, &disks->log_notes);
	return 0;
}

int
sim_disks_open_data_files(struct sim_disks *disks, struct sim_data_disk *data,
    bool empty, struct store **ret_store)
{
	struct store *real;
	int error = sim_media.files->open_data(
	    disks->files, data->generation, empty, &real);

	if (error != 0) {
		disks->sim->counters.opens_failed++;
		return error;
	}
	check_contents(
	    disks, real, data->disk, &data->notes, KV_TABLES_COUNT, "data");
	*ret_store = store_twin_open(real, data->disk, &data->notes);
	return 0;
}

/* ---- Dying ---- */

/*
 * A call may be the last for the process, or for the host. And after a sync that
 * failed the page cache may have dropped what it still has: then it is as if the
 * power had been cut, though it was not.
 */
void
sim_disks_die(struct sim_disks *disks, bool powered)
{
	bool has_failed;

	if (disks->files == NULL)
		return;
	has_failed = sim_media.files->has_failed(disks->files);
	disks->is_closing =
	    powered && !has_failed && rng_below(rng_of(disks), 8) == 0;
	disks->is_cut = !powered;
	if (has_failed &&
	    (disks->faulty_is_last ||
		sim_media.files->has_lost(disks->files)) &&
	    rng_below(rng_of(disks), 2) == 0)
		disks->is_cut = true;
	disks->sim->counters.cuts_in_a_call += has_failed && disks->is_cut;
	if (disks->is_closing)
		sim_disks_mend(disks);
	else
		sim_media.files->kill(disks->files);
}

static void
cut(struct sim_disks *disks)
{
	struct sim_counters *counters = &disks->sim->counters;
	size_t pending = sim_media.files->pending_count(disks->files);
	enum disk_model_choice choice = (enum disk_model_choice)rng_below(
	    rng_of(disks), DISK_MODEL_CHOICES_COUNT);

	counters->cuts++;
	counters->cuts_with_pending += pending > 0;
	sim_trace(disks->sim, 0,
	    "power cut, %zu operations on files pending, choice %u", pending,
	    (unsigned)choice);
	sim_media.files->cut(disks->files, choice, rng_next(rng_of(disks)));
}

void
sim_disks_died(struct sim_disks *disks, bool powered)
{
	(void)powered; /* as it was when it died */
	if (disks->files != NULL) {
		struct sim_counters *counters = &disks->sim->counters;

		counters->stores_closed += disks->is_closing;
		counters->stores_killed += !disks->is_closing;
		if (disks->is_cut)
			cut(disks);
		sim_media.files->revive(disks->files);
		disks->is_cut = false;
	}
	sim_disks_mend(disks);
}

/* ---- While it runs ---- */

static void
look_at_log(struct sim_disks *disks, struct sim_files *image)
{
	char what[256] = "";
	struct store *store;
	int error =
	    sim_media.files->open_log(image, &store, what, sizeof(what));

	if (error != 0) {
		sim_fail(disks->sim, "after a power cut the log gives '%s': %s",
		    err_text(error), what);
		return;
	}
	if (!store_twin_compare(
		store, disks->log, NODE_LOG_TABLES_COUNT, what, sizeof(what)))
		sim_fail(
		    disks->sim, "a power cut would lose of the log: %s", what);
	store_close(store);
}

static void
look_at_data(struct sim_disks *disks, struct sim_files *image,
    const struct sim_data_disk *data)
{
	char what[256] = "";
	struct store *store;
	int error =
	    sim_media.files->open_data(image, data->generation, false, &store);

	if (error != 0) {
		sim_fail(disks->sim, "after a power cut the data gives '%s'",
		    err_text(error));
		return;
	}
	if (!store_twin_compare(
		store, data->disk, KV_TABLES_COUNT, what, sizeof(what)))
		sim_fail(
		    disks->sim, "a power cut would lose of the data: %s", what);
	store_close(store);
}

void
sim_disks_check_image(struct sim_disks *disks, uint64_t generation)
{
	struct sim_counters *counters = &disks->sim->counters;
	enum disk_model_choice choice;
	struct sim_files *image;

	if (disks->files == NULL)
		return;
	choice = (enum disk_model_choice)rng_below(
	    rng_of(disks), DISK_MODEL_CHOICES_COUNT);
	counters->images_compared++;
	counters->images_with_pending +=
	    sim_media.files->pending_count(disks->files) > 0;
	image = sim_media.files->image(
	    disks->files, choice, rng_next(rng_of(disks)));
	look_at_log(disks, image);
	for (unsigned i = 0; i < SIM_GENERATIONS_MAX; i++) {
		if (disks->data[i].disk != NULL &&
		    disks->data[i].generation == generation)
			look_at_data(disks, image, &disks->data[i]);
	}
	sim_media.files->drop(image);
}

static void
check_notes(
    struct sim_disks *disks, struct store_twin_notes *notes, const char *name)
{
	disks->sim->counters.reads_compared += notes->reads_compared;
	notes->reads_compared = 0;
	if (notes->differs)
		sim_fail(
		    disks->sim, "the store of the %s: %s", name, notes->what);
}

void
sim_disks_check_twins(struct sim_disks *disks)
{
	if (disks->files == NULL)
		return;
	check_notes(disks, &disks->log_notes, "log");
	for (unsigned i = 0; i < SIM_GENERATIONS_MAX; i++)
		check_notes(disks, &disks->data[i].notes, "data");
}
