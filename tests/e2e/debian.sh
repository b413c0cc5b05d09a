#!/usr/bin/env bash
# debian.sh ROOT SCRIPT [FOLDER…]: run a script as an ordinary user in a Debian whose files lie in ROOT.
# Its own processes, mounts, /dev and /tmp; the FOLDERs are at their own places in it, read-only. All of it ends with SCRIPT.
set -euo pipefail
if [ "$1" != --inside ]; then
    exec unshare --mount --pid --fork --ipc --uts "$0" --inside "$@"
fi
root=$2 script=$3
shift 3
mount --make-rprivate /
for folder in "$@"; do
    mkdir -p "$root$(dirname "$folder")"
    if [ -d "$folder" ]; then mkdir -p "$root$folder"; else touch "$root$folder"; fi
    mount --bind -o ro "$folder" "$root$folder"
done
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 dev "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm"
for name in null full zero random urandom tty; do
    touch "$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
done
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
ln -s /proc/self/fd "$root/dev/fd"
cp "$script" "$root/inside.sh"
chroot --userspec=dev:dev "$root" /usr/bin/env -i HOME=/home/dev PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 \
    /bin/bash -c 'cd; set -a; . /etc/devenv-test.env; set +a; exec bash /inside.sh'
