//! A runner process: no argument, no environment; its standard input is its socket to the supervisor.

#[cfg(unix)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::os::fd::AsFd;
    let socket = std::io::stdin().as_fd().try_clone_to_owned()?;
    Ok(health_watch_sandbox::serve(socket.into())?)
}

#[cfg(not(unix))]
fn main() {}
