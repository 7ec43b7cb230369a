//! What is done beside the session: recording, and giving the programme away.

use std::path::Path;
use std::time::Instant;

use super::{Engine, Sink};
use crate::participant::Work;
use crate::programme::Programme;
use crate::recorder::Recorder;

impl Engine {
    pub(super) fn work(&mut self, work: Work) {
        match work {
            Work::Record(parent) if self.recorder.is_none() => {
                self.record = Some(parent);
                self.begin_recording();
            }
            Work::ResumeRecording(folder) if self.recorder.is_none() => {
                self.resume_recording(&folder);
            }
            Work::Record(_) | Work::ResumeRecording(_) => {}
            Work::StopRecording => {
                self.record = None;
                self.alarm = None;
                if let Some(recorder) = self.recorder.take() {
                    // The disk may take its time.
                    drop(tokio::task::spawn_blocking(move || recorder.finish()));
                }
            }
            Work::Mark(text) => {
                if let Some(recorder) = &self.recorder {
                    recorder.mark(Instant::now(), &text);
                }
            }
            Work::Programme(sink) => self.sink = Sink(Some(sink)),
            Work::NoProgramme => self.sink = Sink(None),
        }
        self.follow_wants();
    }

    /// Begins the recording that is wanted, once there is a room.
    pub(super) fn begin_recording(&mut self) {
        let Some((parent, room)) = self.record.clone().zip(self.session.room()) else { return };
        self.record = None;
        let begun = Recorder::begin(&parent, room);
        self.take_recorder(&parent, begun);
        self.follow_wants();
    }

    /// Goes on in a folder, or else in a new one beside it.
    fn resume_recording(&mut self, folder: &Path) {
        match Recorder::resume(folder) {
            Ok(recorder) => self.take_recorder(folder, Ok(recorder)),
            Err(error) => {
                tracing::warn!(%error, "a recording cannot be gone on with; another one begins");
                self.record = folder.parent().map(Path::to_owned);
                self.begin_recording();
            }
        }
    }

    fn take_recorder(&mut self, folder: &Path, recorder: std::io::Result<Recorder>) {
        match recorder {
            Ok(recorder) => {
                self.alarm = None;
                self.recorder = Some(recorder);
            }
            Err(error) => {
                let folder = folder.display();
                self.alarm = Some(format!("nothing can be recorded into {folder}: {error}"));
            }
        }
    }

    /// Mixes as long as somebody wants the programme.
    fn follow_wants(&mut self) {
        let wanted = self.recorder.is_some() || self.sink.0.is_some();
        if !wanted {
            self.programme = None;
        } else if self.programme.is_none() {
            self.programme = Programme::new();
        }
    }
}
