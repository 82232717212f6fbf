-- A link of the audit log's chain is made while nobody adds to it. To lock a table takes the right to change its rows, which no process has in this
-- one (gateway/storage/base/roles.py); so its owner does it for whoever may make links.
CREATE FUNCTION audit_stands_still() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    LOCK TABLE public.audit_log IN SHARE ROW EXCLUSIVE MODE;
END $$;
REVOKE EXECUTE ON FUNCTION audit_stands_still() FROM PUBLIC;
