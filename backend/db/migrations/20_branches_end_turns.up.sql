-- A turn also ends because its thread left the branch that it was asked in.
alter table turns
  drop constraint turns_cancel_reason_check,
  add constraint turns_cancel_reason_check check (cancel_reason in ('asked', 'interrupted', 'archived', 'token_limit', 'rewound'));
