-- What was decided about one thing is found by its name: whoever asks for an incentive's story reads no other decisions.
CREATE INDEX audit_log_subject ON audit_log (subject, seq);
