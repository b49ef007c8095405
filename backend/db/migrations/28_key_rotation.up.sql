-- The key that took a key's place: a key is replaced once, so that a second who tries learns that somebody did.
alter table api_keys add column replaced_by text;
