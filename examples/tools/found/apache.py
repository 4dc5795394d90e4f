# Apache's CONNECT, whose client has gone while the server writes: does the server ever learn of it?
import socket,subprocess,time,tempfile,os
d=tempfile.mkdtemp(); os.chmod(d,0o755)
conf=f"""ServerName proxy.test
ServerRoot /etc/apache2
PidFile {d}/pid
DefaultRuntimeDir {d}
ErrorLog {d}/error.log
Listen 127.0.0.1:7951
User www-data
Group www-data
LogLevel warn
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_connect_module /usr/lib/apache2/modules/mod_proxy_connect.so
ProxyRequests On
AllowCONNECT 1-65535
"""
open(d+"/conf","w").write(conf)
p=subprocess.Popen(["/usr/sbin/apache2","-D","FOREGROUND","-f",d+"/conf"])
time.sleep(2)
l=socket.create_server(("127.0.0.1",7952))
for how in ("client writes nothing and closes","client resets"):
    c=socket.create_connection(("127.0.0.1",7951)); c.sendall(b"CONNECT 127.0.0.1:7952 HTTP/1.1\r\nHost: 127.0.0.1:7952\r\n\r\n")
    s,_=l.accept(); a=b""
    while b"\r\n\r\n" not in a: a+=c.recv(1000)
    if how=="client resets":
        import struct; c.setsockopt(socket.SOL_SOCKET,socket.SO_LINGER,struct.pack("ii",1,0))
    c.close(); t=time.time(); s.settimeout(10); n=0
    cpu=lambda: sum(sum(map(int,open(f"/proc/{x}/stat").read().rsplit(")",1)[1].split()[11:13])) for x in os.listdir("/proc") if x.isdigit() and os.path.exists(f"/proc/{x}/comm") and open(f"/proc/{x}/comm").read()=="apache2\n")
    c0=cpu()
    try:
        while time.time()-t<30: n+=s.send(b"x"*65536)
        print(how,": the server has written",n,"bytes in 30 s, and has not been told; apache2 took",(cpu()-c0)/100,"s of a processor")
    except OSError as e: print(how,": after",round(time.time()-t,3),"s and",n,"bytes:",e)
    s.close()
p.terminate(); p.wait(); print(open(d+"/error.log").read())
