# The Debian packages that Luminous needs, in one place. Sourced by the other
# scripts, which then call install_packages with the groups they need.
# shellcheck shell=bash

declare -A packages=(
	[build]="gcc libc6-dev make pkg-config libevent-dev libinih-dev
		libbsd-dev
		libjansson-dev liblmdb-dev libssl-dev libxxhash-dev"
	[test]="binutils check clang clang-format curl jq libclang-rt-dev
		libfaketime python3 strace"
	[analyze]="clang-tidy cppcheck valgrind"
	[coverage]="gcovr"
	[bench]="curl etcd-server nginx-light python3 wrk"
)

is_installed() {
	dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null |
		grep -qx installed
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

# install_packages GROUP...: build, test, analyze, coverage, bench. Installs
# what is missing.
install_packages() {
	local group package
	local missing=()

	for group; do
		for package in ${packages[$group]}; do
			is_installed "$package" || missing+=("$package")
		done
	done
	if [ ${#missing[@]} -eq 0 ]; then
		return 0
	fi
	echo "Installing packages: ${missing[*]}"
	as_root apt-get -qq update &&
		as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
			--no-install-recommends install "${missing[@]}" \
			>/dev/null
}
