# SPDX-License-Identifier: MIT
"""A file that is written whole or not at all, and not where somebody else's link leads.

The rules are those of the commands in C (tools/common/outfile.h, lib/xc_path.h).
"""

import errno
import os
import stat

MAX_LINKS = 40      # as the kernel
FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


def write_file(path, data, mode=0o666):
    """Put the bytes into the file, in the place of what was there.  OSError when that fails: then what was there still is.

    Nothing is written through a link, or over a file, that somebody else has put into a sticky folder which everybody may
    write to (EACCES), and nothing to what is no file (EINVAL).  A file that is replaced sets the limit of the mode, and keeps
    its owner and group where we may give them.
    """
    folder, name = _find(path)
    try:
        before = _what_is_there(folder, name)
        mask = os.umask(0)
        os.umask(mask)
        _put(folder, name, data, mode & ~mask, before)
    finally:
        os.close(folder)


def _failure(number):
    return OSError(number, os.strerror(number))


def _is_planted(folder, st):
    """May somebody else have put it there, to see what we do with it?"""
    at = os.fstat(folder)
    both = stat.S_ISVTX | stat.S_IWOTH
    return at.st_mode & both == both and st.st_uid not in (os.geteuid(), at.st_uid)


def _find(path):
    """A descriptor of the folder that the file is in, links followed, and its name there."""
    path, links = os.fspath(path), 0
    if not path:
        raise _failure(errno.ENOENT)
    folder = os.open("/" if path.startswith("/") else ".", FOLDER)
    try:
        while True:
            name, slash, rest = path.lstrip("/").partition("/")
            if not slash and name in ("", ".", "..") or slash and not rest.strip("/"):
                raise _failure(errno.EISDIR)
            try:
                st = os.stat(name, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                if slash:
                    raise
                return folder, name
            if stat.S_ISLNK(st.st_mode):
                links += 1
                if links > MAX_LINKS:
                    raise _failure(errno.ELOOP)
                if _is_planted(folder, st):
                    raise _failure(errno.EACCES)
                target = os.readlink(name, dir_fd=folder)
                path = target + slash + rest
                if not target.startswith("/"):
                    continue
                after = os.open("/", FOLDER)
            elif not slash:
                return folder, name
            else:
                after, path = os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=folder), rest
            os.close(folder)
            folder = after
    except BaseException:
        os.close(folder)
        raise


def _what_is_there(folder, name):
    """Its status; None when there is nothing."""
    try:
        st = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISREG(st.st_mode) and not _is_planted(folder, st):
        return st
    raise _failure(errno.EISDIR if stat.S_ISDIR(st.st_mode) else errno.EACCES if stat.S_ISREG(st.st_mode) else errno.EINVAL)


def _names(name):
    """Names in the folder that nothing has, to be tried in turn."""
    short = os.fsdecode(os.fsencode(name)[:200])
    return (f"{short}.{os.getpid()}-{i}" for i in range(100))


def _try_names(name, make):
    """make(another name) -> (what it returned, that name)."""
    for other in _names(name):
        try:
            return make(other), other
        except FileExistsError:
            pass
    raise _failure(errno.EEXIST)


def _open_temp(folder, name):
    """A new file, and its name; None where it has none yet."""
    try:
        return os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=folder), None
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL):
            raise
    flags = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_RDWR | os.O_CLOEXEC
    return _try_names(name, lambda other: os.open(other, flags, 0o600, dir_fd=folder))


def _widest(fd, before):
    """What may be allowed at most: what the replaced file allows, to the same people."""
    if before is None:
        return 0o777
    mode = stat.S_IMODE(before.st_mode) & 0o777
    now = os.fstat(fd)
    owners = [(before.st_uid, before.st_gid)] + ([(-1, before.st_gid)] if now.st_uid == before.st_uid else [])
    if (now.st_uid, now.st_gid) == owners[0]:
        return mode
    for uid, gid in owners:
        try:
            os.fchown(fd, uid, gid)
            return mode
        except PermissionError:
            pass
    return mode & ~0o070 | (mode & 0o007) << 3 & mode   # our own group gets no more than all others had


def _put(folder, name, data, mode, before):
    fd, temp = _open_temp(folder, name)
    try:
        os.fchmod(fd, mode & _widest(fd, before))
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest):]
        os.fsync(fd)
        if temp is None:
            _, temp = _try_names(name, lambda other: os.link(f"/proc/self/fd/{fd}", other, dst_dir_fd=folder))
        os.rename(temp, name, src_dir_fd=folder, dst_dir_fd=folder)
        temp = None
    finally:
        os.close(fd)
        if temp is not None:
            os.unlink(temp, dir_fd=folder)
