#include "common/err.h"
#include "config_impl.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Appends what keeps the file from being the secret; ERR_DENIED. */
static int
check_file(int fd, const char *path, struct buf *complaint)
{
	struct stat status;

	if (fstat(fd, &status) != 0) {
		buf_printf(complaint, "%s: %s", path, strerror(errno));
		return ERR_DENIED;
	}
	if (!S_ISREG(status.st_mode)) {
		buf_printf(complaint, "%s is not a file", path);
		return ERR_DENIED;
	}
	if ((status.st_mode & S_IRWXO) != 0) {
		buf_printf(complaint,
		    "%s is open to others (mode %04o); run: chmod o= %s", path,
		    (unsigned)status.st_mode & 07777u, path);
		return ERR_DENIED;
	}
	return 0;
}

/*
 * Reads the whole secret, or appends what is wrong with it. One byte more
 * than the largest, and a final newline, show whether it is too large.
 */
static int
read_secret(int fd, struct config *config, struct buf *complaint)
{
	uint8_t bytes[CONFIG_SECRET_SIZE_MAX + 2];
	size_t size = 0;
	ssize_t got;

	do {
		got = read(fd, bytes + size, sizeof(bytes) - size);
		if (got > 0)
			size += (size_t)got;
	} while (got > 0 || (got < 0 && errno == EINTR));
	if (got < 0) {
		buf_printf(complaint, "%s cannot be read: %s",
		    config->secret_file, strerror(errno));
		return ERR_IO;
	}
	if (size > 0 && bytes[size - 1] == '\n')
		size--;
	if (size < CONFIG_SECRET_SIZE_MIN || size > CONFIG_SECRET_SIZE_MAX) {
		buf_printf(complaint,
		    "%s holds %s%zu bytes; a secret has %d to %d",
		    config->secret_file,
		    size > CONFIG_SECRET_SIZE_MAX ? "at least " : "", size,
		    CONFIG_SECRET_SIZE_MIN, CONFIG_SECRET_SIZE_MAX);
		return ERR_INVALID;
	}
	memcpy(config->secret, bytes, size);
	config->secret_size = size;
	explicit_bzero(bytes, sizeof(bytes));
	return 0;
}

static int
load_secret(struct config *config, struct buf *complaint)
{
	int fd = open(config->secret_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int rc;

	if (fd < 0) {
		buf_printf(complaint, "%s cannot be read: %s",
		    config->secret_file, strerror(errno));
		return ERR_IO;
	}
	rc = check_file(fd, config->secret_file, complaint);
	if (rc == 0)
		rc = read_secret(fd, config, complaint);
	(void)close(fd); /* was only read */
	return rc;
}

void
config_read_secret(struct conf *conf, struct config *config)
{
	struct buf complaint = { 0 };

	if (config->secret_file == NULL) {
		if (config->join != NULL)
			conf_error(conf, "cluster", "secret-file",
			    "needed to join: copy the file of a member");
		else if (config->members_count > 1)
			conf_error(conf, "cluster", "secret-file",
			    "needed with %zu members, the same file on each; "
			    "make one: (umask 077; head -c 32 /dev/urandom | "
			    "base64 >FILE)",
			    config->members_count);
		return;
	}
	if (load_secret(config, &complaint) != 0)
		conf_error(conf, "cluster", "secret-file", "%.*s",
		    (int)complaint.size, (const char *)complaint.data);
	buf_release(&complaint);
}
