//! The Unix datagram socket that DogStatsD clients know as `unix:///path`.

use std::{
    fs, io,
    os::unix::{fs::PermissionsExt, net::UnixDatagram},
    path::{Path, PathBuf},
};

use super::IntakeError;

/// Others may write and do no more, as Datadog's agent has it: programs of any user send.
const MODE: u32 = 0o722;

/// The file of a bound socket; it goes with this.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

/// A socket at this path. What a dead process left there is replaced; a live one's socket, or another file, is not.
pub(super) fn bind(path: &Path) -> Result<(UnixDatagram, SocketFile), IntakeError> {
    let open = || {
        if is_stale(path)? {
            fs::remove_file(path)?;
        }
        let socket = UnixDatagram::bind(path)?;
        let file = SocketFile(path.to_owned());
        fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
        socket.set_nonblocking(true)?;
        Ok((socket, file))
    };
    open().map_err(|reason| IntakeError::ListenUnix { path: path.to_owned(), reason })
}

/// Nobody listens at a socket's file that refuses a connection.
fn is_stale(path: &Path) -> io::Result<bool> {
    match UnixDatagram::unbound()?.connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            use std::os::unix::fs::FileTypeExt;
            // Of a file that is no socket the system says the same.
            Ok(fs::symlink_metadata(path)?.file_type().is_socket())
        }
        // A stream's socket is somebody's, too.
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
    fn a_file_that_is_no_socket_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        fs::write(&path, "mine").unwrap();
        bind(&path).unwrap_err();
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }
}
