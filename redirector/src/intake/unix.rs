//! The Unix sockets that DogStatsD clients know as `unix://PATH`, of datagrams, and `unixstream://PATH`.

use std::{
    fs, io,
    os::unix::{
        fs::PermissionsExt,
        net::{UnixDatagram, UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use super::IntakeError;

/// Others may write and do no more, as Datadog's agent has it: programs of any user send.
const MODE: u32 = 0o722;

/// The file of a bound socket; it goes with this.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

/// A socket of datagrams at this path. What a dead process left there is replaced; a live one's socket, or another file, is not.
pub(super) fn bind(path: &Path) -> Result<(UnixDatagram, SocketFile), IntakeError> {
    let connect = || UnixDatagram::unbound()?.connect(path);
    let open = || {
        let bound = bound(path, connect, UnixDatagram::bind)?;
        bound.0.set_nonblocking(true)?;
        Ok(bound)
    };
    open().map_err(refused(path, "--statsd-socket"))
}

/// A listener for streams at this path, with the same care.
pub(super) fn bind_stream(path: &Path) -> Result<(UnixListener, SocketFile), IntakeError> {
    let connect = || UnixStream::connect(path).map(drop);
    let open = || {
        let bound = bound(path, connect, UnixListener::bind)?;
        bound.0.set_nonblocking(true)?;
        Ok(bound)
    };
    open().map_err(refused(path, "--statsd-stream-socket"))
}

fn refused<'a>(path: &'a Path, flag: &'static str) -> impl FnOnce(io::Error) -> IntakeError + 'a {
    move |reason| IntakeError::ListenUnix { path: path.to_owned(), flag, reason }
}

fn bound<'a, S>(
    path: &'a Path,
    connect: impl FnOnce() -> io::Result<()>,
    bind: impl FnOnce(&'a Path) -> io::Result<S>,
) -> io::Result<(S, SocketFile)> {
    if is_stale(path, connect())? {
        fs::remove_file(path)?;
    }
    let socket = bind(path)?;
    let file = SocketFile(path.to_owned());
    fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
    Ok((socket, file))
}

/// Nobody listens at a socket's file that refuses a connection.
fn is_stale(path: &Path, connected: io::Result<()>) -> io::Result<bool> {
    match connected {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            use std::os::unix::fs::FileTypeExt;
            // Of a file that is no socket the system says the same.
            Ok(fs::symlink_metadata(path)?.file_type().is_socket())
        }
        // A socket of the other sort is somebody's, too.
        Ok(()) | Err(_) => Ok(false),
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // It may be gone with its folder.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_process_s_socket_is_replaced_a_live_one_s_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("statsd.socket");
        let dead = UnixDatagram::bind(&path).unwrap();
        drop(dead);
        assert!(path.exists(), "the system leaves it");
        let (live, file) = bind(&path).unwrap();
        UnixDatagram::unbound().unwrap().send_to(b"a:1|c", &path).unwrap();
        let error = bind(&path).unwrap_err().to_string();
        assert!(error.contains("statsd.socket") && error.contains("--statsd-socket"), "{error}");
        let mut buffer = [0; 16];
        assert_eq!(live.recv(&mut buffer).unwrap(), 5, "it is the same socket still");
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_stream_s_socket_is_treated_alike() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("stream.socket"), folder.path().join("datagrams.socket"));
        drop(UnixListener::bind(&path).unwrap());
        let (_live, file) = bind_stream(&path).unwrap();
        let error = bind_stream(&path).unwrap_err().to_string();
        assert!(error.contains("stream.socket") && error.contains("--statsd-stream-socket"), "{error}");
        UnixStream::connect(&path).unwrap();
        bind(&path).unwrap_err();
        let (_datagrams, _file) = bind(&other).unwrap();
        bind_stream(&other).unwrap_err();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_is_no_socket_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        fs::write(&path, "mine").unwrap();
        bind(&path).unwrap_err();
        bind_stream(&path).unwrap_err();
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }
}
