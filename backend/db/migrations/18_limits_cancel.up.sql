-- A turn that one agent asked of another is cancelled, should the exchange's tokens be spent before it begins.
alter table turns drop constraint turns_cancel_reason_check;
alter table turns add constraint turns_cancel_reason_check check (cancel_reason in ('asked', 'interrupted', 'archived', 'token_limit'));
