-- The key that an invitation was made with, where it was one: what holds that key to a budget holds the guest's key too.
alter table thread_invitations add column created_key text;
